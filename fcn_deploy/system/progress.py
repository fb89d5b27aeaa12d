"""Report the progress of long work to whatever shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

from fcn_deploy.system.interrupt import interrupts

T = TypeVar("T")


class Task(Protocol):
    """One line of progress."""

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Count `steps` more as done; `note` replaces the short text next to the bar (a loss, a count)."""


class Progress(Protocol):
    """Receive the reports of a library function: the terminal in the command line, by default `SILENT`."""

    def task(self, description: str, total: int | None) -> AbstractContextManager[Task]:
        """Open a line for `total` steps (None: unknown, a spinner)."""

    def say(self, line: str) -> None:
        """Show a line that a user should see even where no bar is drawn (a skipped file, a chosen rule)."""


class Once:
    """Pass each line on once, for work that meets the same file again and again."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._said: set[str] = set()

    def task(self, description: str, total: int | None) -> AbstractContextManager[Task]:
        return self._progress.task(description, total)

    def say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._progress.say(line)


class _SilentTask:
    def advance(self, steps: float = 1, note: str = "") -> None:
        return None


class Silent:
    """Report nothing."""

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Task]:
        yield _SilentTask()

    def say(self, line: str) -> None:
        return None


SILENT: Progress = Silent()


def track(progress: Progress, description: str, items: Iterable[T], total: int | None) -> Iterator[T]:
    """Yield items, each of them a step of one line of progress; Ctrl-C ends the loop over them between two steps.

    Args:
        total: how many items will come; None if unknown.
    """
    with progress.task(description, total) as task, interrupts() as check:
        for item in items:
            yield item
            task.advance()
            check()
