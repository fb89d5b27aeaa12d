"""A progress that records the lines it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fcn_deploy.system.progress import SILENT, Task


class RecordedProgress:
    """Keep every line in `lines`; tasks do nothing."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Task]:
        with SILENT.task(description, total) as task:
            yield task

    def say(self, line: str) -> None:
        self.lines.append(line)
