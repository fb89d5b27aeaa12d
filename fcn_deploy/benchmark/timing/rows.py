"""Every row's times: at the data set's own sizes, and at each size and batch that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fcn_deploy.benchmark.batches import Image, batches_of
from fcn_deploy.benchmark.images import images_for
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.row_runs import RowRun, latency_of
from fcn_deploy.benchmark.timing.latency import Budget, measure
from fcn_deploy.benchmark.timing.memory import Memory, measure_memory
from fcn_deploy.benchmark.timing.saturation import measure_saturation
from fcn_deploy.benchmark.timing.timed_runner import TimedRunner
from fcn_deploy.errors import RunnerError
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import Shape, Size, shape_text

Rounds = tuple[tuple[Shape, ...], tuple[int, ...]]
# Accuracy of some rows at some sizes.
Accuracies = Mapping[Size, Mapping[str, rec.Accuracy | None]]


@dataclass(frozen=True)
class TimingPlan:
    """How rows are timed.

    Attributes:
        saturation_s: of every row and shape; 0 leaves it out.
        watch: called between rounds, untimed.
    """

    budget: Budget
    saturation_s: float
    watch: Callable[[], None] = lambda: None
    progress: Progress = SILENT


def time_rows(timed: Sequence[tuple[RowRun, TimedRunner]], batches: Sequence[Image], how: TimingPlan) -> Rounds:
    """Fill in latencies and images a second; returns the distinct N, H, W and the index among them of each round."""
    if not timed:
        return (), ()
    shapes = list(dict.fromkeys(batch.shape[:3] for batch in batches))
    rounds, samples = measure([one for _, one in timed], batches, how.budget, how.progress, how.watch)
    for (run, _), sample in zip(timed, samples, strict=True):
        if sample.failure is not None:
            run.fail(sample.failure)
        else:
            run.row = replace(run.row, latency=latency_of(sample))
    for run, saturated in _saturated([pair for pair in timed if pair[0].ok], batches, how):
        if isinstance(saturated, str):
            run.fail(saturated)
        else:
            run.row = replace(run.row, saturated=saturated)
    return tuple(shapes), tuple(shapes.index(batches[index].shape[:3]) for index in rounds)


def time_cell(
    timed: Sequence[tuple[RowRun, TimedRunner]], shape: Shape, pool: Sequence[Image], how: TimingPlan
) -> None:
    """Add the cell of `shape` to every row; a row that cannot run it gets a note in its place."""
    running = [pair for pair in timed if pair[0].ok]
    if not running:
        return
    batches = batches_of(images_for(shape, pool), shape[0])
    _, samples = measure([one for _, one in running], batches, how.budget, how.progress, how.watch)
    kept = []
    for (run, one), sample in zip(running, samples, strict=True):
        if sample.failure is not None:
            run.note(f"{shape_text(shape)}: {sample.failure}")
        else:
            run.row = replace(run.row, cells=(*run.row.cells, rec.Cell(shape, latency_of(sample))))
            kept.append((run, one))
    for run, saturated in _saturated(kept, batches, how):
        if isinstance(saturated, str):
            run.note(f"{shape_text(shape)}, one after the other: {saturated}")
        else:
            _change_cell(run, shape, saturated=saturated)


def _saturated(
    timed: Sequence[tuple[RowRun, TimedRunner]], batches: Sequence[Image], how: TimingPlan
) -> list[tuple[RowRun, rec.Saturated | str]]:
    if how.saturation_s <= 0 or not timed:
        return []
    found = measure_saturation([one for _, one in timed], batches, how.saturation_s, how.progress)
    return [(run, saturated) for (run, _), saturated in zip(timed, found, strict=True)]


def add_accuracies(runs: Sequence[RowRun], accuracies: Accuracies) -> None:
    """Put the accuracy at each size into the cells of that size."""
    for run in runs:
        for cell in run.row.cells:
            accuracy = accuracies.get(cell.shape[1:], {}).get(run.row.runner)
            _change_cell(run, cell.shape, accuracy=accuracy)


def measure_peak_memory(
    runs: Sequence[RowRun],
    model: str | None,
    shapes: Sequence[Shape],
    threads: int,
    progress: Progress = SILENT,
) -> None:
    """Fill in peak memory, at the largest of `shapes` and in every cell; where it cannot be measured stands a note."""
    running = [run for run in runs if run.ok]
    largest = max(shapes, key=lambda shape: shape[0] * shape[1] * shape[2], default=None)
    with progress.task("measuring memory", sum(1 + len(run.row.cells) for run in running)) as task:
        for run in running:
            known: dict[Shape, Memory] = {}
            for shape in dict.fromkeys([*([] if largest is None else [largest]), *_cell_shapes(run)]):
                try:
                    known[shape] = measure_memory(run.spec.runner, run.file, shape, threads=threads, model=model)
                except RunnerError as error:
                    run.note(str(error))
                task.advance()
            run.row = replace(run.row, memory=None if largest is None else known.get(largest))
            for shape in _cell_shapes(run):
                _change_cell(run, shape, memory=known.get(shape))


def _cell_shapes(run: RowRun) -> list[Shape]:
    return [cell.shape for cell in run.row.cells]


def _change_cell(run: RowRun, shape: Shape, **changes: object) -> None:
    cells = tuple(
        replace(cell, **changes) if cell.shape == shape else cell  # type: ignore[arg-type]
        for cell in run.row.cells
    )
    run.row = replace(run.row, cells=cells)
