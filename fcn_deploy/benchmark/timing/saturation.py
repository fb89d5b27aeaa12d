"""Measure throughput with the next batch always ready: what a server under load, or a video, would see."""

from __future__ import annotations

from collections.abc import Sequence

from fcn_deploy.benchmark.images import Image, commonest
from fcn_deploy.benchmark.record.measurement import Saturated
from fcn_deploy.benchmark.timing.latency import no_garbage_collection, order_of
from fcn_deploy.benchmark.timing.timed_runner import TimedRunner
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.progress import SILENT, Progress

WINDOWS = 3
SECONDS = 1.5


def measure_saturation(
    runners: Sequence[TimedRunner],
    batches: Sequence[Image],
    seconds: float = SECONDS,
    progress: Progress = SILENT,
) -> list[Saturated | str]:
    """Run each of `runners` for `seconds` in three stretches, in turn: a busy moment does not hit one runner alone.

    Args:
        batches: those of their commonest shape are run again and again; a mean over several would depend on which
            of them a runner had the time for.

    Returns:
        For each runner what it did, or the message of the error that ended it.
    """
    chosen = commonest(batches)
    found: list[list[tuple[int, float]] | str] = [[] for _ in runners]
    title = "images a second"
    with progress.task(title, WINDOWS * len(runners)) as task, interrupts() as check, no_garbage_collection():
        for window in range(WINDOWS):
            for index in order_of(window, 1, len(runners)):
                windows = found[index]
                if not isinstance(windows, str) and not _enough(windows, seconds):
                    found[index] = _another(runners[index], chosen, windows, seconds / WINDOWS)
                task.advance()
                check()
    return [
        windows if isinstance(windows, str) else _sum(windows, runner.streams)
        for runner, windows in zip(runners, found, strict=True)
    ]


def _enough(windows: Sequence[tuple[int, float]], seconds: float) -> bool:
    """Whether the stretches so far took `seconds`: a slow runner's first one may be longer than asked for."""
    return sum(taken for _, taken in windows) >= seconds


def _another(
    runner: TimedRunner, batches: Sequence[Image], windows: list[tuple[int, float]], seconds: float
) -> list[tuple[int, float]] | str:
    try:
        return [*windows, runner.saturate(batches, seconds)]
    except FcnDeployError as error:
        return str(error)


def _sum(windows: Sequence[tuple[int, float]], streamed: bool) -> Saturated:
    images, taken = (sum(column) for column in zip(*windows, strict=True))
    return Saturated(int(images), float(taken), streamed, tuple(windows))
