"""Lists of classes: their names, colours and ignored values."""

from __future__ import annotations

import pytest

from fcn_deploy.data.classes import ClassList, find_classes, read_classes
from fcn_deploy.errors import DataError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_class_names_are_read_one_a_line(tmp_path):
    path = write(tmp_path / "classes.txt", "\ufeffsky\r\n\n# not a class\n traffic light \nroad\n")
    assert read_classes(path).names == ("sky", "traffic light", "road")
    assert read_classes(path).palette == ((0, 0, 0), (128, 0, 0), (0, 128, 0))  # Pascal VOC's first three


def test_class_colours_are_read_before_or_after_the_name(tmp_path):
    path = write(tmp_path / "classes.txt", "traffic light 1 2 3\n64, 128, 64\tAnimal\nignore 0 0 0\nignore 9 9 9\n")
    listed = read_classes(path)
    assert listed.names == ("traffic light", "Animal")
    assert listed.palette == ((1, 2, 3), (64, 128, 64))
    assert listed.colours(255) == {(1, 2, 3): 0, (64, 128, 64): 1, (0, 0, 0): 255, (9, 9, 9): 255}


def test_the_voc_colour_map_knows_the_void_colour():
    colours = ClassList.of([f"c{index}" for index in range(21)]).colours(255)
    assert colours[0, 0, 0] == 0
    assert colours[192, 128, 128] == 15  # person
    assert colours[224, 224, 192] == 255


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no class"),
        ("# only a remark\n", "names no class"),
        ("sky\nroad\nsky\n", "'sky' appears at 0 and again at 2"),
        ("sky 1 2 3\nroad\n", "colours for 1 of 2 classes"),
        ("sky 1 2 3\nroad 1 2 3\n", "same colour to two classes"),
        ("sky 1 2 3\nignore 1 2 3\n", "same colour to two classes"),
        ("sky 1 2 256\n", "line 1 of .* colour 1 2 256; expected 0 to 255"),
    ],
)
def test_a_malformed_class_list_is_one_clear_error(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        read_classes(write(tmp_path / "classes.txt", text))


def test_a_class_list_that_is_no_text_is_an_error(tmp_path):
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe\x00sky")
    with pytest.raises(DataError, match="not a text file"):
        read_classes(tmp_path / "classes.txt")
    with pytest.raises(DataError, match="does not exist"):
        read_classes(tmp_path / "missing.txt")


def test_a_zero_byte_is_no_text(tmp_path):
    (tmp_path / "classes.txt").write_bytes(b"a\nb\0c\n")
    with pytest.raises(DataError, match=r"classes\.txt is not a text file: it has a zero byte"):
        read_classes(tmp_path / "classes.txt")


def test_given_class_names_win_and_keep_the_colours_of_the_file(tmp_path):
    write(tmp_path / "classes.txt", "a 1 1 1\nb 2 2 2\n")
    assert find_classes([tmp_path / "other", tmp_path], None).names == ("a", "b")
    given = find_classes([tmp_path], ["x", "y"])
    assert (given.names, given.palette) == (("x", "y"), ((1, 1, 1), (2, 2, 2)))
    assert find_classes([tmp_path], ["x", "y", "z"]).palette[1] == (128, 0, 0)
    assert find_classes([tmp_path / "other"], None) is None
    with pytest.raises(DataError, match="empty name"):
        find_classes([tmp_path], ["x", " "])
