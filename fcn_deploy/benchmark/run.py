"""The benchmark: open the runners, compare their labels, time them, measure their memory, and return the record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fcn_deploy.benchmark.batches import batches_of
from fcn_deploy.benchmark.comparing import accuracies_at, compare_rows
from fcn_deploy.benchmark.images import check_shapes, shapes_of
from fcn_deploy.benchmark.options import BenchOptions as BenchOptions
from fcn_deploy.benchmark.pool import Pool
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.row_runs import RowRun, open_rows
from fcn_deploy.benchmark.runner_specs import ModelFiles, check_calibration, parse_spec
from fcn_deploy.benchmark.timing.contention import CpuClock, other_cores
from fcn_deploy.benchmark.timing.gpu_state import GpuWatch
from fcn_deploy.benchmark.timing.isolated import InChild
from fcn_deploy.benchmark.timing.rows import (
    Rounds,
    TimingPlan,
    add_accuracies,
    measure_peak_memory,
    time_cell,
    time_rows,
)
from fcn_deploy.benchmark.timing.timed_runner import InProcess, TimedRunner
from fcn_deploy.card import ModelCard
from fcn_deploy.data.dataset import Dataset
from fcn_deploy.data.options import classes_of, generated_for, open_for
from fcn_deploy.engine_build.profiles import of_dataset
from fcn_deploy.errors import FcnDeployError, RunnerError
from fcn_deploy.runners.base import Runner
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.environment import describe_environment
from fcn_deploy.system.plain import plain
from fcn_deploy.system.process import usable_cores
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import Profile, Shape, Size

REFERENCE = "pytorch"


def run_bench(options: BenchOptions, progress: Progress = SILENT) -> rec.Record:
    """Measure and return the record.

    A runner that cannot be opened here is skipped, one that fails is failed, each with its reason in its row; the
    others go on.

    Raises:
        UnknownNameError: no such runner or provider.
        CheckpointError, GraphError, ExportError: no runner can use the file.
        DataError: the data set cannot be used, or not with this model's classes.
    """
    specs = [parse_spec(spec) for spec in options.runners]
    check_calibration(specs, options.calibration)
    check_shapes(options.sizes, options.batches)
    threads = options.threads or usable_cores()
    with ExitStack() as stack:
        artefact = stack.enter_context(ModelSource(options.source, progress, model=options.model))
        sha256, size_bytes = artefact.digest()
        # The data set first: a slip in its path should not cost the minute that an export takes.
        card = artefact.card()
        dataset, pool = _open_data(card, options, progress), Pool(max((options.batch, *options.batches)))
        files = ModelFiles(
            artefact,
            _folder(stack),
            calibration=options.calibration,
            profiles=lambda: _profiles(dataset, options, progress),
            progress=progress,
        )
        runs = open_rows(files, specs, threads, stack)
        reference, reason = _open_reference(artefact, runs, threads, stack)
        classes = classes_of(card, dataset)
        own = compare_rows(runs, reference, dataset, classes, options, pool, progress)
        cells = shapes_of(options.sizes, options.batches, pool.sizes)
        accuracies = _accuracies(cells, runs, dataset, classes, options, pool, progress)
        if options.isolated:
            _close([reference, *(run.runner for run in runs)])
        with GpuWatch() as gpus:
            how = TimingPlan(options.budget, options.saturation_s, gpus.look, progress)
            timed = _enter(runs, options, threads, stack)
            (shapes, rounds), others = _time(timed, cells, pool, options.batch, how)
        add_accuracies(runs, accuracies)
        if options.memory:
            measure_peak_memory(runs, options.model, shapes, threads, progress)
        return rec.Record(
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            model=rec.BenchmarkedModel(artefact.path.name, sha256, size_bytes, _plain(card)),
            data=_describe(dataset, classes, pool),
            settings=_settings(options, threads, cells),
            environment=_environment(threads, gpus),
            shapes=shapes,
            rounds=rounds,
            reference=own,
            reference_reason=reason,
            rows=tuple(run.row for run in runs),
            other_cores=others,
            gpu_states=tuple(gpus.states),
        )


def _open_reference(
    artefact: ModelSource, runs: list[RowRun], threads: int, stack: ExitStack
) -> tuple[Runner | None, str]:
    """The first PyTorch runner among the runs, else one opened beside them; None with the reason."""
    for run in runs:
        if run.runner is not None and run.row.runner.partition(":")[0] == REFERENCE:
            return run.runner, ""
    try:
        return stack.enter_context(artefact.open(REFERENCE, threads=threads)), ""
    except FcnDeployError as error:
        return None, str(error)


def _folder(stack: ExitStack) -> Path:
    """For the files that are made; gone with `stack`."""
    return Path(stack.enter_context(TemporaryDirectory(prefix="fcn-deploy-", ignore_cleanup_errors=True)))


def _open_data(card: ModelCard | None, options: BenchOptions, progress: Progress) -> Dataset:
    return (generated_for if options.generated else open_for)(card, options.data, progress)


def _profiles(dataset: Dataset, options: BenchOptions, progress: Progress) -> tuple[Profile, ...]:
    """The data set's own sizes, and each cell of other sizes for itself, so that its kernels are tuned for it."""
    most = options.batch if options.sizes else max((options.batch, *options.batches))
    own = of_dataset(dataset, options.data.on_error, most, progress)
    cells = shapes_of(options.sizes, options.batches, {}) if options.sizes else ()
    return (own, *(Profile(shape, shape, shape) for shape in cells))


def _accuracies(
    cells: Sequence[Shape],
    runs: list[RowRun],
    dataset: Dataset,
    classes: tuple[str, ...],
    options: BenchOptions,
    pool: Pool,
    progress: Progress,
) -> dict[Size, dict[str, rec.Accuracy | None]]:
    """At each size of the cells; where the data set has that size alone, what was counted already."""
    found: dict[Size, dict[str, rec.Accuracy | None]] = {}
    for size in dict.fromkeys(shape[1:] for shape in cells if pool.labelled):
        if set(pool.sizes) == {size}:
            known = [run.row for run in runs if run.row.accuracy is not None]
            found[size] = {row.runner: replace(row.accuracy, by_image=()) for row in known if row.accuracy}
        else:
            found[size] = accuracies_at(size, runs, dataset, classes, options, progress)
    return found


def _close(runners: Sequence[Runner | None]) -> None:
    for runner in runners:
        if runner is not None:
            runner.close()


def _enter(
    runs: list[RowRun], options: BenchOptions, threads: int, stack: ExitStack
) -> list[tuple[RowRun, TimedRunner]]:
    """The rows that can be timed with what is timed; a runner that does not open in its own process fails."""
    timed: list[tuple[RowRun, TimedRunner]] = []
    for run in runs:
        if not run.ok or run.runner is None:
            continue
        if not options.isolated:
            timed.append((run, InProcess(run.runner)))
            continue
        try:
            child = InChild(run.spec.text, run.spec.runner, run.file, threads=threads, model=options.model)
        except RunnerError as error:
            run.fail(str(error))
            continue
        timed.append((run, stack.enter_context(child)))
    return timed


def _time(
    timed: Sequence[tuple[RowRun, TimedRunner]], cells: Sequence[Shape], pool: Pool, batch: int, how: TimingPlan
) -> tuple[Rounds, float | None]:
    """Rounds of the data set's own sizes, then every cell; and the cores that others kept busy meanwhile."""
    workers = [one.pid for _, one in timed if isinstance(one, InChild)]
    before = CpuClock.read(workers)
    rounds = time_rows(timed, batches_of(pool.images, batch), how)
    for shape in cells:
        time_cell(timed, shape, pool.images, how)
    return rounds, other_cores(before, CpuClock.read(workers))


def _describe(dataset: Dataset, classes: tuple[str, ...], pool: Pool) -> rec.Data:
    sizes = tuple((height, width, count) for (height, width), count in sorted(pool.sizes.items()))
    left_out = len(dataset) - pool.seen
    return rec.Data(dataset.name, classes, pool.seen, pool.labelled, left_out, sizes)


def _settings(options: BenchOptions, threads: int, cells: Sequence[Shape]) -> rec.Settings:
    budget = options.budget
    return rec.Settings(
        budget.iterations, budget.seconds, budget.warmup, budget.settle_ms, options.batch, threads, options.radius,
        tolerance=budget.tolerance,
        sizes=tuple(dict.fromkeys(shape[1:] for shape in cells)),
        batches=tuple(sorted({shape[0] for shape in cells})),
        isolated=options.isolated,
    )  # fmt: skip


def _environment(threads: int, gpus: GpuWatch) -> dict[str, Any]:
    """With `nvml`: why a GPU's clocks are not in the record, where there is a GPU."""
    found = describe_environment(threads)
    return found | {"nvml": gpus.reason} if found["gpus"] and gpus.reason else found


def _plain(card: ModelCard | None) -> dict[str, Any] | None:
    return None if card is None else plain(card)
