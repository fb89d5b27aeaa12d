"""Every option of every command refuses numbers that cannot be meant, or takes them, when the words are parsed."""

from __future__ import annotations

import re

import click
import pytest

from fcn_deploy.cli.main import SECTIONS, cli
from fcn_deploy.cli.options.numbers import Form, Number, WholeNumber
from fcn_deploy.errors import FcnDeployError

NAMES = [name for lines in SECTIONS.values() for name in lines if name != "doctor"]
NUMBERS = (
    "nan", "-nan", "inf", "-inf", "-1", "0", "1e308", "1e-320", "9" * 5000, "1_0", "٣", "", " ", "0x10", "NaN,NaN,NaN",
    "inf,inf", "1e9,1e9", "99999x99999x99999", "99999999x99999999", "nan%", "9" * 400 + "%", "1e999ms", "a=nan",
    "\x1b[31m",
)  # fmt: skip


def options(name: str) -> list[click.Parameter]:
    command = cli.get_command(click.Context(cli, info_name="fcn-deploy"), name)
    assert command is not None
    return [each for each in command.params if isinstance(each, click.Option) and not each.is_flag]


@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_cannot_be_meant_is_refused_in_one_line_or_taken(name: str):
    command = cli.get_command(click.Context(cli, info_name="fcn-deploy"), name)
    assert command is not None
    context = click.Context(command, info_name=name)
    refused = []
    for option in options(name):
        for number in NUMBERS:
            value = (number,) * option.nargs if option.nargs > 1 else number
            try:
                option.type_cast_value(context, [value] if option.multiple else value)
            except (click.UsageError, FcnDeployError) as error:
                refused.append(str(error))
    assert all(refused)
    assert refused or {each.name for each in options(name)} == {"json"}


@pytest.mark.parametrize("name", NAMES)
def test_a_number_has_a_range_with_both_ends_in_the_help(name: str):
    context = click.Context(cli, info_name="fcn-deploy")
    for option in options(name):
        if isinstance(option.type, (click.types.IntParamType, click.types.FloatParamType)):
            assert isinstance(option.type, (WholeNumber, Number)), f"{name} {option.opts}: a type of options/numbers.py"
            assert None not in (option.type.min, option.type.max)
            record = option.get_help_record(context)
            assert record is not None
            assert "<=x<" in record[1] or "<x<" in record[1], record


# What the metavar of an option with numbers in a form of their own holds.
NUMERIC = re.compile(r"HxW|PERCENT|POINTS|TIME|SECONDS|MIN,MAX|\bMS\b|\bN\b|\bX\b|VALUE|SIZE|A,B,C")
NAMES_ALONE = {"sizes": False, "runners": True, "precisions": True, "targets": True, "sm": True}


@pytest.mark.parametrize("name", NAMES)
def test_numbers_in_a_form_of_their_own_have_a_range_too(name: str):
    context = click.Context(cli, info_name="fcn-deploy")
    for option in options(name):
        metavar = str(option.make_metavar(context))
        lists_numbers = metavar == "LIST" and not NAMES_ALONE.get(str(option.name))
        if lists_numbers or (NUMERIC.search(metavar) and not isinstance(option.type, (WholeNumber, Number))):
            assert isinstance(option.type, Form), f"{name} {option.opts}: a Form of options/numbers.py"
        if isinstance(option.type, Form):
            record = option.get_help_record(context)
            assert record is not None
            assert option.type.ends in record[1]


@pytest.mark.parametrize("name", NAMES)
def test_empty_text_is_no_value(name: str):
    command = cli.get_command(click.Context(cli, info_name="fcn-deploy"), name)
    assert command is not None
    context = click.Context(command, info_name=name)
    for option in options(name):
        if option.name != "label_suffix":
            with pytest.raises(click.BadParameter, match="it is empty"):
                option.type_cast_value(context, [""] if option.multiple else "")


def test_an_empty_argument_is_refused():
    for words in (["inspect", ""], ["predict", "demo", "", "-o", "out"], ["package", "", "-o", "out", "--name", "n"]):
        with pytest.raises(click.BadParameter, match="it is empty; name a file"):
            cli.main(words, standalone_mode=False)


@pytest.mark.parametrize("columns", ["1", "20", "100000"])
def test_help_is_rendered_in_a_terminal_of_any_width(columns: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", columns)
    for name in NAMES:
        command = cli.get_command(click.Context(cli, info_name="fcn-deploy"), name)
        assert command is not None
        lines = command.get_help(command.make_context(name, [], resilient_parsing=True)).splitlines()
        assert max(map(len, lines)) <= 80
