"""Print the result of a command as text or a table, and write or print it as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.console import notice
from fcn_deploy.cli.options.command import Decorator, option
from fcn_deploy.errors import FcnDeployError

if TYPE_CHECKING:
    from rich.console import RenderableType

STDOUT = "-"
PIPE_WIDTH = 100

json_option = option(
    "--json", "json_path", metavar="FILE", help="Write the result as JSON; - prints it instead of the text."
)


def output_option(dest: str, help: str, *, was: Sequence[str] = ("--out",), **attrs: Any) -> Decorator:
    """Return -o/--output, the file or folder that a command writes."""
    return option("-o", "--output", dest, was=was, help=help, **{"metavar": "FILE", **attrs})


def check_json_path(json_path: str | None) -> None:
    """Raise OutputError before the work begins if `--json FILE` cannot be written."""
    from fcn_deploy.system.files import check_writable

    if json_path not in (None, STDOUT):
        check_writable(Path(str(json_path)))


def emit(json_path: str | None, json_text: Callable[[], str], show: Callable[[], None]) -> None:
    """Write or print the JSON, and show the text unless the JSON took its place.

    The text is shown also if the file cannot be written, so that a result is never lost with it.
    """
    if json_path == STDOUT:
        click.echo(json_text())
        return
    try:
        if json_path is not None:
            leave(json_path, json_text() + "\n")
    except FcnDeployError:
        show()
        raise
    show()


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

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH)
    for part in parts:
        click.echo(part) if isinstance(part, str) else console.print(part)
