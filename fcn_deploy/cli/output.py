"""Print the result of a command as text or a table, and write or print it as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.console import notice
from fcn_deploy.cli.options.command import Decorator, option

if TYPE_CHECKING:
    from rich.console import RenderableType

STDOUT = "-"
PIPE_WIDTH = 100

JSON_PATH = "fcn_deploy.json_path"  # key of the context's meta


def _remember_json_path(context: click.Context, parameter: click.Parameter, path: str | None) -> None:
    """Store the path for `emit`; raise OutputError before the work begins if the file cannot be written."""
    from fcn_deploy.system.files import check_writable

    if path not in (None, STDOUT):
        check_writable(Path(str(path)))
    context.meta[JSON_PATH] = path


json_option = option(
    "--json",
    metavar="FILE",
    expose_value=False,
    callback=_remember_json_path,
    help="Write the result as JSON; - prints it instead of the text.",
)


def json_path() -> str | None:
    """Return the value of --json of the command that runs."""
    path: str | None = click.get_current_context().meta.get(JSON_PATH)
    return path


def output_option(dest: str, help: str, *, was: Sequence[str] = ("--out",), **attrs: Any) -> Decorator:
    """Return -o/--output, the file or folder that a command writes."""
    return option("-o", "--output", dest, was=was, help=help, **{"metavar": "FILE", **attrs})


def emit(
    plain: Callable[[], Mapping[str, Any]],
    rendered: Callable[[], RenderableType | Sequence[RenderableType]],
    *,
    indent: int | None = None,
) -> None:
    """Write or print a result as JSON if --json is given, and show its text unless the JSON was printed.

    The text is shown even if the file cannot be written, so that a result is never lost with it.

    Args:
        plain: gives the result as plain data.
        rendered: gives the lines and tables that show it.
    """
    import json

    path = json_path()
    try:
        if path is not None:
            leave(path, json.dumps(plain(), allow_nan=False, indent=indent) + "\n")
    finally:
        if path != STDOUT:
            content = rendered()
            show(*(content if isinstance(content, Sequence) and not isinstance(content, str) else [content]))


def leave(path: str, text: str) -> None:
    """Write a file and say so on standard error; "-" prints the text.

    Raises:
        OutputError: the file cannot be written.
    """
    from fcn_deploy.system.files import write_text

    if path == STDOUT:
        click.echo(text, nl=not text.endswith("\n"))
        return
    write_text(Path(path), text)
    notice(f"wrote {path}")


def show(*parts: RenderableType) -> None:
    """Print text line by line as it is, tables as wide as the terminal and 100 columns wide in a pipe."""
    from rich.console import Console

    console = Console(highlight=False, width=None if Console().is_terminal else PIPE_WIDTH)
    for part in parts:
        click.echo(part) if isinstance(part, str) else console.print(part)
