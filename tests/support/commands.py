"""Parse command lines of texts as click does, without running anything."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from fcn_deploy.cli.main import cli

# Types whose conversion neither reads a file nor needs a context.
PURE = (click.Choice, click.IntRange, click.FloatRange)


def calls(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each `fcn-deploy` in a shell line."""
    without_descriptors = re.sub(r"(?<=\s)\d(?=>)", "", line)  # 2> is one token for a shell
    lexer = shlex.shlex(without_descriptors, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    call: list[str] = []
    for token in [*lexer, ";"]:
        if set(token) <= set("|&;<>"):
            if call[:1] == ["fcn-deploy"]:
                yield call[1:]
            call = []
        else:
            call.append(token)


def check(line: str) -> None:
    """Parse each `fcn-deploy` of a shell line; click.UsageError for what the program rejects. "..." is left out."""
    found = list(calls(line))
    assert found, line
    for name, *rest in found:
        _check(name, rest)


def _check(name: str, rest: list[str]) -> None:
    context = click.Context(cli, info_name="fcn-deploy")
    command = cli.get_command(context, name)
    if command is None:
        raise click.UsageError(f"no command {name}")
    within = click.Context(command, info_name=name, parent=context)
    values, left, _ = command.make_parser(within).parse_args(rest)
    if left := [argument for argument in left if argument != "..."]:
        raise click.UsageError(f"{left} are too many")
    for parameter in command.params:
        value = values.get(parameter.name)
        if isinstance(value, (str, tuple, list)) and isinstance(parameter.type, PURE):
            for each in value if isinstance(value, (tuple, list)) else (value,):
                parameter.type.convert(each, parameter, within)
