"""Text from outside leaves as it is seen, not as a terminal or a spreadsheet would obey it."""

from __future__ import annotations

import os
import re

import pytest

from fcn_deploy.system.escape import cell, visible, visible_line
from tests.support import ROOT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("road\tcar\n", "road\tcar\n"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb", "a\\x0db"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2028b", "a\\u2028b"),
        (os.fsdecode(b"m\xff.onnx") if os.name != "nt" else "m\udcff.onnx", "m\\xff.onnx"),
        ("\ud800", "\\ud800"),
        ("Straße 道路 🚗", "Straße 道路 🚗"),
    ],
)
def test_what_a_terminal_obeys_is_shown_escaped(text: str, shown: str):
    assert visible(text) == shown
    assert shown.encode().decode() == shown


def test_a_reason_is_one_line():
    assert visible_line("it broke:\n   at a\n\n   at b\n") == "it broke: at a at b"
    assert visible_line("a  b") == "a  b"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(text: str):
    assert str(cell(text)).startswith("'")


@pytest.mark.parametrize("value", [-1, 2.5, "road", "a=b", "", None])
def test_other_cells_stay(value: object):
    assert cell(value) == value


DOORS = {"cli/console.py", "system/process.py"}  # the second sends JSON to its parent process
PRINTS = re.compile(r"click\.(secho|echo|echo_via_pager)\(|(?<![\w.])print\(|std(out|err)\.write\(|[^\w]Console\(")


def test_text_leaves_by_one_door():
    package = ROOT / "fcn_deploy"
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(PRINTS.search(line) and ">>>" not in line for line in path.read_text(encoding="utf-8").splitlines())
    }
    assert found <= DOORS, "print by fcn_deploy.cli.console, which escapes what a terminal obeys"


WRITERS = re.compile(r"csv\.(writer|DictWriter)\(")


def test_every_writer_of_cells_quotes_formulas():
    for path in (ROOT / "fcn_deploy").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not WRITERS.search(text) or "system.escape import cell" in text, path
