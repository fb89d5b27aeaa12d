"""Time one batch on a runner, whether it lives in this process or in a child process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Protocol

from fcn_deploy.benchmark.images import Image
from fcn_deploy.benchmark.timing.streams import answer_arrivals
from fcn_deploy.runners.base import Runner
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.vocabulary import INPUT

Steps = tuple[int, int, int]
Clock = Callable[[], int]
# Results after the first: one of a loop is a whole inference; those of a stream come in bursts until slots are full.
MIN_LOOPED, MIN_STREAMED = 1, 4


@dataclass(frozen=True)
class Timing:
    """Nanoseconds of upload, execute and download of one batch: by the host's clock, and by events on the device."""

    host: Steps
    device: Steps | None = None

    @property
    def total_ns(self) -> int:
        return sum(self.host)


class TimedRunner(Protocol):
    """A runner that can be timed. Every method raises FcnDeployError if the runner fails."""

    @property
    def name(self) -> str: ...

    @property
    def streams(self) -> bool:
        """Whether it can have several batches under way at once."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its times must know, by now: a runner may choose how to run a shape when it meets it."""

    def time(self, batch: Image) -> Timing:
        """Time one inference of uint8[N, H, W, 3], step by step, each waiting for the device."""

    def saturate(self, batches: Sequence[Image], seconds: float) -> tuple[int, float]:
        """Return images done, and in how many seconds, with the next batch always ready."""

    def answer(self, batches: Sequence[Image], arrivals_s: Sequence[float], patience_s: float) -> list[int]:
        """Run an inference for each arrival, as `answer_arrivals` does; return the nanoseconds of each."""


class InProcess:
    """Time a runner in this process; its threads and its memory are shared with the other runners."""

    def __init__(self, runner: Runner, clock: Clock = time.perf_counter_ns) -> None:
        self.runner, self.name, self.streams, self._clock = runner, runner.name, runner.slots > 1, clock
        runner.time_on_device = runner.tune_at_once = True

    @property
    def notes(self) -> tuple[str, ...]:
        return self.runner.notes

    def time(self, batch: Image) -> Timing:
        clock, runner, feeds = self._clock, self.runner, {INPUT: batch}
        start = clock()
        runner.upload(feeds)
        uploaded = clock()
        runner.execute()
        executed = clock()
        runner.download()
        return Timing((uploaded - start, executed - uploaded, clock() - executed), runner.device_ns)

    def saturate(self, batches: Sequence[Image], seconds: float) -> tuple[int, float]:
        """Return the images done after the first result, and the seconds from there to the last one.

        A runner that streams has all its slots full; of any other the next inference starts when the last has ended.
        The first result is where the clock starts: until then the slots were filling.
        """
        least = MIN_STREAMED if self.streams else MIN_LOOPED
        results = self.runner.stream(_until(batches, 1 + least, time.perf_counter() + seconds))
        next(results)
        start = end = time.perf_counter()
        images = 0
        for outputs in results:
            end = time.perf_counter()
            images += len(next(iter(outputs.values())))
        return images, end - start

    def answer(self, batches: Sequence[Image], arrivals_s: Sequence[float], patience_s: float) -> list[int]:
        with interrupts() as check:
            return answer_arrivals(self.runner, batches, arrivals_s, patience_s, self._clock, check=check)


def _until(batches: Sequence[Image], least: int, deadline: float) -> Iterator[Image]:
    for index, batch in enumerate(cycle(batches)):
        if index >= least and time.perf_counter() > deadline:
            return
        yield batch


def timed_runner_of(runner: Runner | TimedRunner) -> TimedRunner:
    """Return a runner as one that is timed in this process; timed runners as they are."""
    return InProcess(runner) if isinstance(runner, Runner) else runner
