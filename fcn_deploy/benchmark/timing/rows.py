"""Fill in every row's times, memory and streams, at the data set's own sizes and at each shape that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from fcn_deploy.benchmark.images import Image, commonest
from fcn_deploy.benchmark.record.measurement import Saturated, StreamLoad, StreamTest
from fcn_deploy.benchmark.record.streams import holds
from fcn_deploy.benchmark.row_runs import RowRun
from fcn_deploy.benchmark.timing.energy import EnergyMeter, Joules, added
from fcn_deploy.benchmark.timing.latency import Budget, measure, no_garbage_collection, order_of
from fcn_deploy.benchmark.timing.memory import measure_memory
from fcn_deploy.benchmark.timing.streams import load_of, search
from fcn_deploy.benchmark.timing.timed_runner import TimedRunner
from fcn_deploy.errors import FcnDeployError, RunnerError
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.system.formatting import count
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import Shape

WINDOWS = 3
SECONDS = 1.5
# Untimed inferences before the first load, whose batch is one whatever --batch is.
WARM_UPS = 3
TimedRow = tuple[RowRun, TimedRunner]


@dataclass(frozen=True)
class TimingPlan:
    """How rows are timed.

    Attributes:
        saturation_s: of every row and shape; 0 leaves it out.
        watch: called between rounds, untimed.
        meter: reads the energy of each runner that is saturated; None leaves it out.
    """

    budget: Budget
    saturation_s: float
    watch: Callable[[], None] = lambda: None
    progress: Progress = SILENT
    meter: EnergyMeter | None = None


def time_rows(timed: Sequence[TimedRow], shape: Shape | None, batches: Sequence[Image], plan: TimingPlan) -> list[int]:
    """Fill in latency and saturated throughput at `shape`, None being the data set's own sizes.

    A runner that raises fails its row at the data set's own sizes, and gets a note at any other shape.

    Returns:
        The index of the batch that each round timed.
    """
    running = [(run, runner) for run, runner in timed if run.ok]
    if not running:
        return []
    rounds, samples = measure([runner for _, runner in running], batches, plan.budget, plan.progress, plan.watch)
    lasting = []
    for (run, runner), sample in zip(running, samples, strict=True):
        if sample.failure is not None:
            run.fail_at(shape, sample.failure)
        else:
            run.keep(shape, latency=sample.latency())
            lasting.append((run, runner))
    if plan.saturation_s > 0 and lasting:
        found = measure_saturation(
            [runner for _, runner in lasting], batches, plan.saturation_s, plan.progress, plan.meter
        )
        for (run, _), saturated in zip(lasting, found, strict=True):
            if isinstance(saturated, str):
                run.fail_at(shape, saturated, ", one after the other")
            else:
                run.keep(shape, saturated=saturated)
    return rounds


def measure_row_memory(
    runs: Sequence[RowRun],
    own: Sequence[Shape],
    threads: int,
    progress: Progress = SILENT,
    engine: TrtOptions | None = None,
) -> None:
    """Fill in peak memory at the largest of the data set's own shapes and at each other one that was timed.

    Where it cannot be measured, the row gets a note.
    """
    running = [run for run in runs if run.ok]
    largest = max(own, key=lambda shape: shape[0] * shape[1] * shape[2], default=None)
    with progress.task("measuring memory", sum(1 + len(run.resized) for run in running)) as task:
        for run in running:
            asked = engine if run.spec.is_engine else None
            for shape in dict.fromkeys([*([] if largest is None else [largest]), *run.resized]):
                try:
                    memory = measure_memory(
                        run.spec.runner, run.file, shape, threads=threads, model=run.model, engine=asked
                    )
                except RunnerError as error:
                    run.notes.append(str(error))
                else:
                    if shape in run.found:
                        run.keep(shape, memory=memory)
                    if shape == largest:
                        run.keep(None, memory=memory)
                task.advance()


def measure_streams(
    timed: Sequence[TimedRow], images: Sequence[Image], test: StreamTest, progress: Progress = SILENT
) -> None:
    """Fill in how long images take under each number of streams that is tried, one row after the other.

    A runner that raises fails its row.

    Args:
        images: uint8[1, H, W, 3]; those of their commonest shape arrive in turn.
    """
    chosen = commonest(images)
    for run, runner in timed:
        if not run.ok:
            continue
        loads: list[StreamLoad] = []
        try:
            for _ in range(WARM_UPS):
                runner.time(chosen[0])
            search(partial(_try_streams, runner, chosen, test, loads, progress), test.most, _guess(run, test))
        except FcnDeployError as error:
            run.fail_at(None, f"with {count(test.most, 'stream')} or fewer: {error}")
        else:
            run.keep(None, loads=tuple(loads))


def _try_streams(
    runner: TimedRunner,
    images: Sequence[Image],
    test: StreamTest,
    loads: list[StreamLoad],
    progress: Progress,
    streams: int,
) -> bool:
    progress.say(f"{runner.name}: {count(streams, 'stream')} of {test.fps:g} images/s")
    with no_garbage_collection():
        load = load_of(streams, test, partial(runner.answer, images))
    loads.append(load)
    return holds(load, test)


def _guess(run: RowRun, test: StreamTest) -> int:
    """Return how many streams the row's images per second make up."""
    found = run.found.get(None)
    if found is not None and found.saturated is not None:
        return int(found.saturated.images / found.saturated.seconds / test.fps)
    if found is None or found.latency is None:
        return 1
    return int(1e9 * len(found.latency.execute_ns) / sum(map(sum, found.latency.steps)) / test.fps)


def measure_saturation(
    runners: Sequence[TimedRunner],
    batches: Sequence[Image],
    seconds: float = SECONDS,
    progress: Progress = SILENT,
    meter: EnergyMeter | None = None,
) -> list[Saturated | str]:
    """Run each of `runners` for `seconds` in three stretches, in turn: a busy moment does not hit one runner alone.

    Args:
        batches: those of their commonest shape are run again and again; a mean over several would depend on which
            of them a runner had the time for.

    Returns:
        For each runner what it did, or the message of the error that ended it.
    """
    chosen = commonest(batches)
    found = [list[tuple[int, float]]() for _ in runners]
    joules = [list[Joules]() for _ in runners]
    meter = meter or EnergyMeter.without()
    failures: dict[int, str] = {}
    title = "images per second"
    with progress.task(title, WINDOWS * len(runners)) as task, interrupts() as check, no_garbage_collection():
        for window in range(WINDOWS):
            for index in order_of(window, 1, len(runners)):
                # a slow runner's first stretch may be longer than all were to be
                if index not in failures and _seconds(found[index]) < seconds:
                    try:
                        stretch, used = meter.around(partial(runners[index].saturate, chosen, seconds / WINDOWS))
                        found[index].append(stretch)
                        joules[index].append(used)
                    except FcnDeployError as error:
                        failures[index] = str(error)
                task.advance()
                check()
    return [
        failures.get(index)
        or Saturated(
            sum(images for images, _ in windows),
            _seconds(windows),
            runner.streams,
            tuple(windows),
            added(joules[index]),
        )
        for index, (runner, windows) in enumerate(zip(runners, found, strict=True))
    ]


def _seconds(windows: Sequence[tuple[int, float]]) -> float:
    return float(sum(taken for _, taken in windows))
