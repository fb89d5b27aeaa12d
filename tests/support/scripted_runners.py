"""Timed runners whose times are written down beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle

from fcn_deploy.benchmark.images import Image
from fcn_deploy.benchmark.timing.timed_runner import Timing
from fcn_deploy.errors import RunnerError

MS = 1_000_000


class Scripted:
    """Takes the given milliseconds in execute, one after the other and over again; nothing passes on any clock."""

    streams = False
    notes = ()

    def __init__(self, name: str, execute_ms: Iterable[float], *, fail_at: int | None = None) -> None:
        self.name, self._times, self._fail_at = name, cycle(execute_ms), fail_at
        self.calls = 0
        self.shapes: list[tuple[int, ...]] = []

    def time(self, batch: Image) -> Timing:
        self.calls += 1
        self.shapes.append(batch.shape)
        if self._fail_at is not None and self.calls >= self._fail_at:
            raise RunnerError(f"{self.name} ran out of memory")
        return Timing((0, int(next(self._times) * MS), 0))

    def saturate(self, batches: Sequence[Image], seconds: float) -> tuple[int, float]:
        timing = self.time(batches[0])
        count = max(1, round(seconds * 1e9 / timing.total_ns))
        return count * len(batches[0]), count * timing.total_ns / 1e9
