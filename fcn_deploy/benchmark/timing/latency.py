"""Measure the latency of several runners over the same images, interleaved, so that a busy minute slows all alike.

A round gives one batch to every runner; the runner that goes first changes each round, so that none always finds the
image already in the cache. Warm-ups are kept apart: the first runs of each shape allocate, tune and compile.

Threads that spin for a while after an inference would take a core from the runner whose turn is next (PyTorch's
OpenMP threads do for some milliseconds). So a turn starts with inferences that are not timed, until that is over.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from fcn_deploy.benchmark.images import Image
from fcn_deploy.benchmark.record.measurement import Latency, StepTimes
from fcn_deploy.benchmark.record.stability import is_known
from fcn_deploy.benchmark.timing.timed_runner import TimedRunner, Timing, timed_runner_of
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.runners.base import Runner
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.progress import SILENT, Progress

MIN_ROUNDS = 3
# Below this p99 is little else than the slowest, and the interval of the median is that of a lucky minute.
ROUNDS_TO_STOP = 100
SECONDS_TO_STOP = 2.0
LOOK_EVERY = 10
STEADY_RUNS = 3
# Three runs in a row that improve on the best so far by less than this share do not improve.
STEADY_GAIN = 0.03


@dataclass
class Samples:
    """Raw times of one runner, one entry per round; `warmup_ns` is nanoseconds of whole inferences, in order."""

    timings: list[Timing] = field(default_factory=list)
    warmup_ns: list[int] = field(default_factory=list)
    failure: str | None = None

    def latency(self) -> Latency:
        """Return the samples as plain data."""
        upload, execute, download = zip(*(timing.host for timing in self.timings), strict=True)
        device = [timing.device for timing in self.timings if timing.device is not None]
        by_events = StepTimes(*zip(*device, strict=True)) if device else None
        return Latency(upload, execute, download, tuple(self.warmup_ns), by_events)

    @property
    def total_ns(self) -> list[int]:
        return [timing.total_ns for timing in self.timings]


@dataclass(frozen=True)
class Budget:
    """When to stop: after `iterations` rounds or `seconds` of timing, not before 3 rounds; earlier once all is known.

    Attributes:
        warmup: inferences of each distinct shape by each runner before the first round, and more until they are
            steady; 0 for none.
        settle_ms: how long each turn runs untimed first; not with a single runner, nor for inferences that take
            20 times as long, where the last runner's threads cannot matter.
        tolerance: stop after 100 rounds and 2 s once the median of every runner is known to within this share of
            itself; None never stops early.
        warmup_seconds: for what a runner's warm-ups may take beyond `warmup`, over all shapes.
    """

    iterations: int = 500
    seconds: float = 20.0
    warmup: int = 3
    settle_ms: float = 10.0
    tolerance: float | None = 0.01
    warmup_seconds: float = 2.0


def order_of(round_index: int, batches: int, runners: int) -> list[int]:
    """Return the runners in the order of one round.

    Whoever is first moves on by one from batch to batch, and on each batch by one each time the batches start again;
    a plain round_index % runners would let an even number of batches meet two runners always in the same order.
    """
    first = (round_index % batches + round_index // batches) % runners
    return [(first + offset) % runners for offset in range(runners)]


def measure(
    runners: Sequence[Runner | TimedRunner],
    batches: Sequence[Image],
    budget: Budget,
    progress: Progress = SILENT,
    watch: Callable[[], None] = lambda: None,
) -> tuple[list[int], list[Samples]]:
    """Time `runners` over `batches` again and again until `budget` is used up or the medians are known.

    A runner that raises is left out from then on; its `failure` says why and its times are thrown away.

    Args:
        watch: called after each round, untimed.

    Returns:
        The batch index of each round, and one Samples for each runner.
    """
    timed = [timed_runner_of(runner) for runner in runners]
    samples = [Samples() for _ in timed]
    _warm(timed, samples, batches, budget, progress)
    rounds: list[int] = []
    with interrupts() as check, no_garbage_collection():
        # A line and no bar: a bar's thread wakes ten times a second and takes its time from what is being timed.
        limit = f"{budget.iterations} rounds" if math.isinf(budget.seconds) else f"{budget.seconds:g} s"
        progress.say(f"timing {', '.join(runner.name for runner in timed)} for at most {limit}")
        for batch_index in _rounds(batches, budget, samples):
            for index in order_of(len(rounds), len(batches), len(timed)):
                if len(timed) > 1:
                    _settle(samples[index], timed[index], batches[batch_index], budget.settle_ms)
                _guarded(samples[index], timed[index], batches[batch_index])
            rounds.append(batch_index)
            watch()
            check()
            if all(sample.failure for sample in samples):
                break
    return rounds, [Samples(failure=sample.failure) if sample.failure else sample for sample in samples]


def _rounds(batches: Sequence[Image], budget: Budget, samples: Sequence[Samples]) -> Iterator[int]:
    start = time.perf_counter()
    shapes = list(dict.fromkeys(batch.shape for batch in batches))
    done: list[int] = []
    for index in range(budget.iterations):
        elapsed = time.perf_counter() - start
        if index >= MIN_ROUNDS and elapsed > budget.seconds:
            return
        if elapsed > SECONDS_TO_STOP and _all_known(samples, done, budget.tolerance):
            return
        yield index % len(batches)
        done.append(shapes.index(batches[index % len(batches)].shape))


def _all_known(samples: Sequence[Samples], shapes: Sequence[int], tolerance: float | None) -> bool:
    if tolerance is None or len(shapes) < ROUNDS_TO_STOP or len(shapes) % LOOK_EVERY:
        return False
    return all(is_known(sample.total_ns, shapes, tolerance) for sample in samples if not sample.failure)


def _warm(
    timed: Sequence[TimedRunner],
    samples: Sequence[Samples],
    batches: Sequence[Image],
    budget: Budget,
    progress: Progress,
) -> None:
    """Run all warm-ups before all timing: shape by shape, every runner in turn."""
    ceilings = [budget.warmup_seconds] * len(timed)
    with progress.task("warming up", None) as task, interrupts() as check:

        def run(runner: TimedRunner, sample: Samples, batch: Image) -> int | None:
            check()
            task.advance()
            return _guarded(sample, runner, batch, keep="warmup")

        for batch in {batch.shape: batch for batch in batches}.values():
            runs = [partial(run, runner, sample, batch) for runner, sample in zip(timed, samples, strict=True)]
            warm_up(runs, budget.warmup, ceilings)


def is_steady(times_ns: Sequence[int]) -> bool:
    """Whether the last three runs were no faster than the best before them, but for 3 %."""
    if len(times_ns) <= STEADY_RUNS:
        return False
    return min(times_ns[-STEADY_RUNS:]) >= (1 - STEADY_GAIN) * min(times_ns[:-STEADY_RUNS])


def warm_up(runs: Sequence[Callable[[], int | None]], least: int, ceilings_s: list[float]) -> None:
    """Call all of `runs` in turn until each is steady.

    Args:
        runs: one inference each, giving its nanoseconds, or None if it failed and need not be called again.
        least: calls of each; 0 for no call at all, steady or not.
        ceilings_s: what each may take beyond that, in seconds; what it took is subtracted.
    """
    times: list[list[int]] = [[] for _ in runs]
    going = list(range(len(runs))) if least > 0 else []
    while going:
        for index in list(going):
            taken = runs[index]()
            if taken is None:
                going.remove(index)
                continue
            times[index].append(taken)
            if len(times[index]) > least:
                ceilings_s[index] -= taken / 1e9
            if len(times[index]) >= least and (ceilings_s[index] <= 0 or is_steady(times[index])):
                going.remove(index)


def _settle(sample: Samples, runner: TimedRunner, batch: Image, settle_ms: float) -> None:
    if sample.timings and sample.timings[-1].host[1] > 20 * settle_ms * 1e6:
        return
    end = time.perf_counter() + settle_ms / 1e3
    while time.perf_counter() < end and sample.failure is None:
        _guarded(sample, runner, batch, keep="nothing")


def _guarded(sample: Samples, runner: TimedRunner, batch: Image, keep: str = "timed") -> int | None:
    """Time one inference, keep it as "timed", as "warmup", or not at all; None if an error ended the runner."""
    if sample.failure is not None:
        return None
    try:
        timing = runner.time(batch)
    except FcnDeployError as error:
        sample.failure = str(error)
        return None
    if keep == "warmup":
        sample.warmup_ns.append(timing.total_ns)
    elif keep == "timed":
        sample.timings.append(timing)
    return timing.total_ns


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Suspend garbage collection, whose time would be counted as the runner's."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
