"""Every `fcn-deploy` command line in README and docs fits the command tree: the command, its options, their values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from fcn_deploy.cli.main import cli
from tests.support import ROOT
from tests.support.pages import PAGES

# Types whose conversion neither reads a file nor needs a context.
PURE = (click.Choice, click.IntRange, click.FloatRange)


def command_lines(text: str) -> list[str]:
    """Those of code blocks, continued lines joined, and those in backticks."""
    joined = re.sub(r" *\\\n\s*", " ", text)
    lines = re.findall(r"^.*\bfcn-deploy .*$", joined, re.MULTILINE)
    blocks = [line.strip() for line in lines if re.search(r"(^|[|&;] *)fcn-deploy [a-z-]", line.strip())]
    prose = " ".join(joined.split())
    return [*blocks, *re.findall(r"(?<!`)`(fcn-deploy [a-z-]+[^`]*)`", prose)]


def calls(line: str) -> Iterator[list[str]]:
    """The arguments of each `fcn-deploy` in a shell line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    call: list[str] = []
    for token in [*lexer, ";"]:
        if set(token) <= set("|&;<>"):
            if call[:1] == ["fcn-deploy"]:
                yield call[1:]
            call = []
        else:
            call.append(token)


def check(arguments: list[str]) -> None:
    """Parse as click does, without running anything; click.UsageError for what it would refuse. "..." is left out."""
    name, *rest = arguments
    context = click.Context(cli, info_name="fcn-deploy")
    command = cli.get_command(context, name)
    if command is None:
        raise click.UsageError(f"no command {name}")
    within = click.Context(command, info_name=name, parent=context)
    values, left, _ = command.make_parser(within).parse_args(list(rest))
    if left := [argument for argument in left if argument != "..."]:
        raise click.UsageError(f"{left} are too many")
    for parameter in command.params:
        value = values.get(parameter.name)
        if value is not None and isinstance(parameter.type, PURE):
            for each in value if isinstance(value, (tuple, list)) else (value,):
                parameter.type.convert(each, parameter, within)


LINES = [(page.relative_to(ROOT), line) for page in PAGES for line in command_lines(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "line"), LINES, ids=lambda value: str(value)[:60])
def test_a_command_line_fits_the_command_tree(page, line):
    found = list(calls(line))
    assert found, line
    for arguments in found:
        check(arguments)


def test_lines_are_found_in_blocks_pipes_and_backticks():
    block = "x\n\n    find a | fcn-deploy predict m.onnx - \\\n        -o out  # why\n"
    text = f"{block}\nSee `fcn-deploy train\n--init x` or `-o`.\n"
    assert command_lines(text) == ["find a | fcn-deploy predict m.onnx - -o out  # why", "fcn-deploy train --init x"]
    assert list(calls("pip install x && fcn-deploy bench ... 'a b' > out  # c")) == [["bench", "...", "a b"]]
    assert len(LINES) > 50


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
def test_a_slip_is_told(line):
    with pytest.raises(click.UsageError):
        check(*calls(line))
