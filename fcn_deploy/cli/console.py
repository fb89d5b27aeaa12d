"""Print results, and what goes along with them on standard error.

A result is text, a table or JSON. Standard error gets bars on a terminal and notices in a pipe, more with -v, less
with -q.
"""

from __future__ import annotations

import platform
import shutil
import sys
import textwrap
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.errors import FcnDeployError
from fcn_deploy.system.escape import visible, visible_line
from fcn_deploy.system.progress import SILENT, Once, Progress, Silent, Task
from fcn_deploy.version import __version__

if TYPE_CHECKING:
    from rich.console import RenderableType

STDOUT = "-"
PIPE_WIDTH = 100
JSON_PATH = "fcn_deploy.json_path"  # key of the context's meta
VERBOSITY = "fcn_deploy.verbosity"  # key of the context's meta, which a command shares with the program


def set_verbosity(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    """Remember -v or -q, given before or after the command's name; UsageError for both."""
    if not given:
        return
    if context.meta.setdefault(VERBOSITY, parameter.name) != parameter.name:
        raise click.UsageError("-v and -q exclude each other; give one of them", context)


def _verbosity() -> str | None:
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(VERBOSITY)


def say(line: str) -> None:
    """Print text on standard error, with what a terminal would obey shown escaped."""
    click.echo(visible(line), err=True)


def notice(line: str) -> None:
    """Print a line on standard error, unless -q; a line end in it, as names of files may have, is a blank."""
    if _verbosity() != "quiet":
        say(visible_line(line))


def fitted(line: str) -> str:
    """Return a line with breaks between words where standard error is a terminal, which would break within words."""
    if not sys.stderr.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def one_terminal() -> bool:
    """Return whether results and what goes along with them are read in one place."""
    return sys.stdout.isatty() and sys.stderr.isatty()


class _Bar:
    def __init__(self, progress: object, task_id: object) -> None:
        self._progress, self._task_id = progress, task_id

    def advance(self, steps: float = 1, note: str = "") -> None:
        fields = {"note": visible_line(note)} if note else {}
        self._progress.update(self._task_id, advance=steps, **fields)  # type: ignore[attr-defined]


class _PipeProgress(Silent):
    """No bars; notices still reach standard error."""

    def say(self, line: str) -> None:
        say(visible_line(line))


class TerminalProgress(_PipeProgress):
    """Rich bars with elapsed and remaining time; each task is a bar of its own that vanishes when done."""

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Task]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed
        from rich.progress import TimeRemainingColumn as Remaining

        name, after = (TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[note]"))
        columns = [SpinnerColumn(), name, BarColumn(bar_width=24), MofNCompleteColumn()]
        times = [Elapsed(), Remaining(), after]
        with Progress(*columns, *times, console=Console(stderr=True), transient=True) as progress:
            yield _Bar(progress, progress.add_task(visible_line(description), total=total, note=""))


class _TimedProgress:
    """Another progress, and a line with its time after each task."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Task]:
        started = time.perf_counter()
        with self._progress.task(description, total) as task:
            yield task
        self.say(f"{description}: {time.perf_counter() - started:.2f} s")

    def say(self, line: str) -> None:
        self._progress.say(line)


def progress() -> Progress:
    """Return bars where standard error is a terminal, otherwise notices alone; with -v times too, with -q nothing.

    A notice that comes again (of images that are both trained on and validated on) is printed once.
    """
    if _verbosity() == "quiet":
        return SILENT
    shown: Progress = TerminalProgress() if sys.stderr.isatty() else _PipeProgress()
    return Once(_TimedProgress(shown) if _verbosity() == "verbose" else shown)


@contextmanager
def described(context: click.Context) -> Iterator[None]:
    """Print, with -v, the versions first, the time last, and the traceback of an expected error."""
    if _verbosity() != "verbose":
        yield
        return
    say(_versions())
    started = time.perf_counter()
    try:
        yield
    except (FcnDeployError, OSError, MemoryError):
        say(traceback.format_exc().rstrip())
        raise
    finally:
        say(f"{context.info_name}: {time.perf_counter() - started:.2f} s in all")


def _versions() -> str:
    from fcn_deploy.runners.registry import distributions
    from fcn_deploy.system.environment import package_versions

    found = {"fcn-deploy": __version__, "Python": platform.python_version()}
    found |= package_versions(("onnx", *distributions()))
    return ", ".join([*(f"{name} {version}" for name, version in found.items()), platform.platform()])


def remember_json_path(context: click.Context, parameter: click.Parameter, path: str | None) -> None:
    """Store the path for `emit`; raise OutputError, before the work starts, if the file cannot be written."""
    from fcn_deploy.system.files import check_writable

    if path not in (None, STDOUT):
        check_writable(Path(str(path)))
    context.meta[JSON_PATH] = path


def json_path() -> str | None:
    """Return the value of --json of the command that runs."""
    path: str | None = click.get_current_context().meta.get(JSON_PATH)
    return path


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
        click.echo(visible(text), nl=not text.endswith("\n"))
        return
    write_text(Path(path), visible(text))
    notice(f"wrote {path}")


def show(*parts: RenderableType) -> None:
    """Print text line by line as it is, tables as wide as the terminal and 100 columns wide in a pipe."""
    from rich.console import Console
    from rich.segment import Segment, Segments

    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}  # names are no markup
    console = Console(**plain, width=None if Console().is_terminal else PIPE_WIDTH)
    for part in parts:
        if isinstance(part, str):
            click.echo(visible(part))
            continue
        segments = (Segment(visible(text), style, control) for text, style, control in console.render(part))
        console.print(Segments(segments), crop=False, end="")
