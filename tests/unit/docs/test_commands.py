"""Every `fcn-deploy` command line in README and docs fits the command tree: the command, its options, their values."""

from __future__ import annotations

import re

import click
import pytest

from tests.support import ROOT
from tests.support.commands import calls, check
from tests.support.pages import PAGES


def command_lines(text: str) -> list[str]:
    """Those of code blocks, continued lines joined, and those in backticks."""
    joined = re.sub(r" *\\\n\s*", " ", text)
    lines = re.findall(r"^.*\bfcn-deploy .*$", joined, re.MULTILINE)
    blocks = [line.strip() for line in lines if re.search(r"(^|[|&;] *)fcn-deploy [a-z-]", line.strip())]
    prose = " ".join(joined.split())
    return [*blocks, *re.findall(r"(?<!`)`(fcn-deploy [a-z-]+[^`]*)`", prose)]


LINES = {str(page.relative_to(ROOT)): command_lines(page.read_text(encoding="utf-8")) for page in PAGES}


def refusal(line: str) -> str | None:
    """Return why a line does not fit, None if it does."""
    try:
        check(line)
    except (click.UsageError, AssertionError) as error:
        return f"{line}: {error}"
    return None


@pytest.mark.parametrize("page", [page for page, lines in LINES.items() if lines])
def test_every_command_line_of_a_page_fits_the_command_tree(page):
    assert [reason for line in LINES[page] if (reason := refusal(line))] == []


def test_lines_are_found_in_blocks_pipes_and_backticks():
    block = "x\n\n    find a | fcn-deploy predict m.onnx - \\\n        -o out  # why\n"
    text = f"{block}\nSee `fcn-deploy train\n--init x` or `-o`.\n"
    assert command_lines(text) == ["find a | fcn-deploy predict m.onnx - -o out  # why", "fcn-deploy train --init x"]
    assert list(calls("pip install x && fcn-deploy bench ... 'a b' > out  # c")) == [["bench", "...", "a b"]]
    assert list(calls("fcn-deploy bench m.onnx --seconds 2 2> log || exit 1")) == [
        ["bench", "m.onnx", "--seconds", "2"]
    ]
    assert sum(len(lines) for lines in LINES.values()) > 50


@pytest.mark.parametrize(
    "line",
    [
        "fcn-deploy predit m.onnx photos -o out",
        "fcn-deploy predict m.onnx photos --out out",
        "fcn-deploy quantize m.onnx --precision int4 -o out.onnx",
        "fcn-deploy predict m.onnx photos -o out --tile 0",
        "fcn-deploy quantize m.onnx more.onnx -o out.onnx",
    ],
)
def test_a_mistake_in_a_command_line_is_noticed(line):
    with pytest.raises(click.UsageError):
        check(line)
