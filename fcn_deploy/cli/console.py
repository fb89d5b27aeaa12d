"""Progress on a terminal: bars on standard error, nothing but plain notices in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import click

from fcn_deploy.system.progress import SILENT, Progress, Task


class _Bar:
    def __init__(self, progress: object, task_id: object) -> None:
        self._progress, self._task_id = progress, task_id

    def advance(self, steps: float = 1, note: str = "") -> None:
        fields = {"note": note} if note else {}
        self._progress.update(self._task_id, advance=steps, **fields)  # type: ignore[attr-defined]


class TerminalProgress:
    """Rich bars with elapsed and remaining time; each task is a bar of its own that vanishes when done."""

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Task]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn()]
        times = [TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}")]
        with Progress(*columns, *times, console=Console(stderr=True), transient=True) as progress:
            yield _Bar(progress, progress.add_task(description, total=total, note=""))

    def say(self, line: str) -> None:
        click.echo(line, err=True)


class _PipeProgress:
    """No bars; notices still reach standard error."""

    def task(self, description: str, total: int | None) -> AbstractContextManager[Task]:
        return SILENT.task(description, total)

    def say(self, line: str) -> None:
        click.echo(line, err=True)


def progress() -> Progress:
    """Bars where standard error is a terminal, otherwise notices alone."""
    return TerminalProgress() if sys.stderr.isatty() else _PipeProgress()
