from __future__ import annotations

from pathlib import Path

import click
import pytest

from fcn_deploy.cli.main import cli
from fcn_deploy.cli.options.values import parse_class_list, parse_classes, parse_values
from fcn_deploy.errors import DataError
from tests.support.locked_folder import lock


def test_a_list_with_commas():
    assert parse_classes("sky, traffic light,road") == ("sky", "traffic light", "road")


def test_a_file_is_read_as_the_class_list_of_a_data_set(tmp_path: Path):
    path = tmp_path / "classes.txt"
    path.write_text("\ufeff# ours\nsky 70 130 180\n\nroad, wet 1 2 3\nignore 0 0 0\n", encoding="utf-8")
    assert parse_classes(str(path)) == ("sky", "road, wet")


def test_a_list_longer_than_a_file_name_is_no_file():
    names = tuple(f"class number {index}" for index in range(400))
    assert parse_classes(",".join(names)) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--classes names no class; give a file"),
        (" , ,", "--classes names no class"),
        ("a,,b", "--classes a,,b: class 1 has an empty name"),
        ("a,b,a", "class name 'a' appears at 0 and again at 2"),
        ("names.txt", "--classes names.txt: there is no such file"),
    ],
)
def test_a_bad_list_is_one_clear_line(text: str, message: str):
    with pytest.raises(DataError, match=message):
        parse_classes(text)


def test_a_file_in_a_folder_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "names.txt").write_text("sky\n")
    lock(monkeypatch, tmp_path)
    with pytest.raises(DataError, match=r"names\.txt: (permission denied|there is no such file)"):
        parse_classes(str(tmp_path / "names.txt"))


def test_the_classes_of_a_data_set_may_have_colours(tmp_path: Path):
    path = tmp_path / "labelmap.txt"
    path.write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:48,112,32::\n", encoding="utf-8")
    assert parse_class_list(str(path)) == ("background 0 0 0", "cat 48 112 32")
    path.write_text("sky\nroad\n", encoding="utf-8")
    assert parse_class_list(str(path)) == ("sky", "road")
    assert parse_class_list("a 0 0 0,b 255 255 255") == ("a 0 0 0", "b 255 255 255")


def test_label_values_are_whole_numbers_with_commas():
    assert parse_values("0,255") == (0, 255)
    with pytest.raises(
        click.BadParameter, match="'0;255' is not a list of whole numbers of at most 2147483647, such as 0,255"
    ):
        parse_values("0;255")


def _numbers(command: click.Command) -> list[click.Parameter]:
    return [each for each in command.params if isinstance(each.type, click.types.FloatParamType)]


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_a_range_of_numbers_takes_no_nan_and_no_infinity(name):
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for parameter in _numbers(command):
        if not isinstance(parameter.type, click.FloatRange):
            continue  # the library checks the numbers of `train` where it checks those of a file
        for text in ("nan", "inf", "-inf"):
            with pytest.raises(click.BadParameter):
                parameter.type.convert(text, parameter, None)
