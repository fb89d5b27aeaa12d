"""Tests of reading TOML files."""

from __future__ import annotations

import os

import pytest

from fcn_deploy.system.serialization.toml import read_toml


def test_tables_are_read(tmp_path):
    (tmp_path / "a.toml").write_text('[one]\nname = "ä"\n', encoding="utf-8")
    assert read_toml(tmp_path / "a.toml") == {"one": {"name": "ä"}}


# The time to read the last one, 20 KB long, would be seconds: it grows with the square of the dots.
@pytest.mark.parametrize(
    "content", [b"no toml", b'name = "\xff"', b"a=" + b"[" * 5000, b"a." * 200 + b"a=1", b"a." * 10_000 + b"a=1"]
)
def test_what_is_no_toml_is_a_value_error(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        read_toml(tmp_path / "a.toml")


def test_dots_in_texts_are_no_keys(tmp_path):
    (tmp_path / "a.toml").write_text(f"""a = "{"." * 3000}\\"..." # '\n""")
    assert read_toml(tmp_path / "a.toml") == {"a": "." * 3000 + '"...'}


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.toml")
    with pytest.raises(OSError, match="expected a plain file"):
        read_toml(tmp_path / "a.toml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_toml(tmp_path / "a.toml") == {"a": 1}
