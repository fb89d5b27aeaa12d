"""Timed runners whose times are written down beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle

from fcn_deploy.benchmark.images import Image
from fcn_deploy.benchmark.timing.streams import answer_arrivals
from fcn_deploy.benchmark.timing.timed_runner import Timing
from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.tickets import Ticket
from tests.support.fake_runners import FakeClock

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

    def answer(self, batches: Sequence[Image], arrivals_s: Sequence[float], patience_s: float) -> list[int]:
        """Take the images one after the other, on a clock of its own."""
        clock = FakeClock()

        def sleep(seconds: float) -> None:
            clock.now += round(1e9 * seconds)

        return answer_arrivals(_Timed(self, clock), batches, arrivals_s, patience_s, clock, sleep)


class _Timed:
    """A runner of one slot that takes its scripted time on a clock."""

    slots = 1

    def __init__(self, scripted: Scripted, clock: FakeClock) -> None:
        self._scripted, self._clock = scripted, clock

    def submit(self, image: Image) -> Ticket:
        self._clock.now += self._scripted.time(image).total_ns
        return Ticket(0)

    def result(self, ticket: Ticket) -> None:
        pass
