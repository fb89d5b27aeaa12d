"""Latency of several runners over the same images, interleaved, so that a busy minute slows all of them alike.

A round gives one batch to every runner; who goes first moves on by one each round, so nobody is always the one with
the image already in the cache. Warm-ups are kept apart: the first runs of each shape allocate, tune and compile.

Threads that spin for a while after an inference would take a core from the runner whose turn is next (PyTorch's
OpenMP threads do for some milliseconds). So a turn begins with inferences that are not timed, until that is over.
"""

from __future__ import annotations

import gc
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, FcnDeployError
from ..interrupt import interrupts
from ..progress import SILENT, Progress
from ..runners.base import INPUT, Runner

Image = NDArray[np.uint8]
Steps = tuple[int, int, int]
Clock = Callable[[], int]
MIN_ROUNDS = 3
BATCH_BYTES = 2 << 30


@dataclass
class Samples:
    """Raw times of one runner in nanoseconds, one entry a round; `warmup_ns` is whole inferences, in order."""

    upload_ns: list[int] = field(default_factory=list)
    execute_ns: list[int] = field(default_factory=list)
    download_ns: list[int] = field(default_factory=list)
    warmup_ns: list[int] = field(default_factory=list)
    failure: str | None = None

    def add(self, steps: Steps) -> None:
        self.upload_ns.append(steps[0])
        self.execute_ns.append(steps[1])
        self.download_ns.append(steps[2])


@dataclass(frozen=True)
class Budget:
    """When to stop: after `iterations` rounds or `seconds` of timing, whichever comes first, but after 3 rounds.

    Attributes:
        warmup: inferences of each distinct shape by each runner before the first round.
        settle_ms: how long each turn runs untimed first; not with a single runner, nor for inferences that take
            20 times as long, where the last runner's threads cannot matter.
    """

    iterations: int = 500
    seconds: float = 20.0
    warmup: int = 3
    settle_ms: float = 10.0


def time_once(runner: Runner, feeds: Mapping[str, NDArray[Any]], clock: Clock = time.perf_counter_ns) -> Steps:
    """Nanoseconds of upload, execute and download of one inference."""
    start = clock()
    runner.upload(feeds)
    uploaded = clock()
    runner.execute()
    executed = clock()
    runner.download()
    return uploaded - start, executed - uploaded, clock() - executed


def batches_of(images: Sequence[Image], batch: int) -> list[Image]:
    """uint8[H, W, 3] images -> uint8[batch, H, W, 3], images of one shape together, in the order of first shapes.

    The last batch of a shape is filled up with that shape's first images, so every batch is full.

    Raises:
        DataError: see `check_bytes`.
    """
    check_bytes(images, batch)
    groups: dict[tuple[int, ...], list[Image]] = {}
    for image in images:
        groups.setdefault(image.shape, []).append(image)
    return [
        np.stack([group[index % len(group)] for index in range(start, start + batch)])
        for group in groups.values()
        for start in range(0, len(group), batch)
    ]


def check_bytes(images: Sequence[Image], batch: int) -> None:
    """DataError if the full batches of `images` would take more than BATCH_BYTES; single images always may."""
    counts = Counter(image.shape for image in images)
    needed = sum(-(-count // batch) * batch * math.prod(shape) for shape, count in counts.items())
    if batch > 1 and needed > BATCH_BYTES:
        raise DataError(
            f"batches of {batch} images take {needed >> 20} MiB, more than the {BATCH_BYTES >> 20} MiB "
            "that they may; give a smaller --batch, or images of fewer sizes"
        )


def order_of(round_index: int, batches: int, runners: int) -> list[int]:
    """Runners in the order of one round.

    Whoever is first moves on by one from batch to batch, and on each batch by one each time the batches start again;
    a plain round_index % runners would let an even number of batches meet two runners always in the same order.
    """
    first = (round_index % batches + round_index // batches) % runners
    return [(first + offset) % runners for offset in range(runners)]


def measure(
    runners: Sequence[Runner], batches: Sequence[Image], budget: Budget, progress: Progress = SILENT
) -> tuple[list[int], list[Samples]]:
    """Time `runners` over `batches` again and again until `budget` is used up.

    A runner that raises is left out from then on; its `failure` says why and its times are thrown away.

    Returns:
        The batch index of each round, and one Samples for each runner.
    """
    samples = [Samples() for _ in runners]
    with progress.task("warming up", None) as task, interrupts() as check:
        for sample, runner, batch in _warmups(samples, runners, batches, budget.warmup):
            _guarded(sample, runner, batch, keep="warmup")
            task.advance()
            check()
    rounds: list[int] = []
    with interrupts() as check, _no_garbage_collection():
        # A line and no bar: a bar's thread wakes ten times a second and takes its time from what is being timed.
        progress.say(f"timing {', '.join(runner.name for runner in runners)} for at most {budget.seconds:g} s")
        for batch_index in _rounds(len(batches), budget):
            for index in order_of(len(rounds), len(batches), len(runners)):
                if len(runners) > 1:
                    _settle(samples[index], runners[index], batches[batch_index], budget.settle_ms)
                _guarded(samples[index], runners[index], batches[batch_index])
            rounds.append(batch_index)
            check()
            if all(sample.failure for sample in samples):
                break
    return rounds, [Samples(failure=sample.failure) if sample.failure else sample for sample in samples]


def _rounds(batches: int, budget: Budget) -> Iterator[int]:
    deadline = time.perf_counter() + budget.seconds
    for index in range(budget.iterations):
        if index >= MIN_ROUNDS and time.perf_counter() > deadline:
            return
        yield index % batches


def _warmups(
    samples: Sequence[Samples], runners: Sequence[Runner], batches: Sequence[Image], warmup: int
) -> Iterator[tuple[Samples, Runner, Image]]:
    """All warm-ups before all timing: shape by shape, `warmup` times each, and every runner in turn."""
    for batch in {batch.shape: batch for batch in batches}.values():
        for _ in range(warmup):
            for sample, runner in zip(samples, runners, strict=True):
                yield sample, runner, batch


def _settle(sample: Samples, runner: Runner, batch: Image, settle_ms: float) -> None:
    last_ns = sample.execute_ns[-1] if sample.execute_ns else 0
    if last_ns > 20 * settle_ms * 1e6:
        return
    end = time.perf_counter() + settle_ms / 1e3
    while time.perf_counter() < end and sample.failure is None:
        _guarded(sample, runner, batch, keep="nothing")


def _guarded(sample: Samples, runner: Runner, batch: Image, keep: str = "timed") -> None:
    """One inference, its times kept as "timed", as "warmup", or not at all; an error becomes the failure."""
    if sample.failure is not None:
        return
    try:
        steps = time_once(runner, {INPUT: batch})
    except FcnDeployError as error:
        sample.failure = str(error)
        return
    if keep == "warmup":
        sample.warmup_ns.append(sum(steps))
    elif keep == "timed":
        sample.add(steps)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A collection in the middle of a sample would be counted as the runner's."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
