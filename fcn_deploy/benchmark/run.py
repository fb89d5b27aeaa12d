"""Run the benchmark: open the runners, compare their labels, time them, measure their memory, return the record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from fcn_deploy.benchmark.images import ImagePool, batches_of, check_shapes, images_for, shapes_of
from fcn_deploy.benchmark.kept_files import KeepFolder
from fcn_deploy.benchmark.model_files import ModelFiles
from fcn_deploy.benchmark.models import open_models, open_reference, sized_models
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import StreamTest
from fcn_deploy.benchmark.row_labels import RowLabels
from fcn_deploy.benchmark.row_runs import RowRun, open_rows
from fcn_deploy.benchmark.runner_specs import check_calibration, check_engines, parse_spec
from fcn_deploy.benchmark.timing.energy import EnergyMeter
from fcn_deploy.benchmark.timing.isolated import InChild
from fcn_deploy.benchmark.timing.latency import Budget
from fcn_deploy.benchmark.timing.machine import CpuClock, GpuWatch, other_cores
from fcn_deploy.benchmark.timing.rows import (
    SECONDS,
    TimedRow,
    TimingPlan,
    measure_row_memory,
    measure_streams,
    time_rows,
)
from fcn_deploy.benchmark.timing.timed_runner import InProcess
from fcn_deploy.benchmark.worst_frames import WorstFrames
from fcn_deploy.data.dataset import Dataset
from fcn_deploy.data.options import DataOptions, classes_of, open_or_generate
from fcn_deploy.engine_build.profiles import profile_of_dataset
from fcn_deploy.errors import RunnerError
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import distributions
from fcn_deploy.system.environment import describe_environment
from fcn_deploy.system.process import usable_cores
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.scratch import scratch_folder
from fcn_deploy.vocabulary import Profile, Shape


@dataclass(frozen=True)
class BenchOptions:
    """What to measure; what is not listed means the same as the argument of `bench`.

    Attributes:
        source, runners: the first file, which the others are compared with, and its rows.
        model: what a checkpoint holds where its keys leave a choice.
        others: further files, each with its rows.
        calibration: images to calibrate INT8 with; without them INT8 is rejected.
        batch: images per inference, when the data set's own sizes are timed.
        network_sizes: the only file has further rows in which its network computes at each of these sizes.
        image_sizes, batches: each (height, width) with each batch is timed too, on resized images; without sizes, the
            data set's most common one; with neither sizes nor two batches, nothing is resized.
        saturation_s: seconds for each row and shape; 0 leaves saturated throughput out.
        streams: how many streams to try on the data set's own images; None leaves that out.
    """

    source: str = "demo"
    model: str | None = None
    runners: tuple[str, ...] = ("pytorch", "onnxruntime")
    others: tuple[tuple[str, tuple[str, ...]], ...] = ()
    data: DataOptions = field(default_factory=DataOptions)
    calibration: DataOptions | None = None
    budget: Budget = field(default_factory=Budget)
    batch: int = 1
    threads: int | None = None
    engine: TrtOptions | None = None
    radius: int = 3
    memory: bool = True
    network_sizes: tuple[str, ...] = ()
    image_sizes: tuple[tuple[int, int], ...] = ()
    batches: tuple[int, ...] = ()
    isolated: bool = False
    saturation_s: float = SECONDS
    streams: StreamTest | None = None
    limits: AccuracyBudget = field(default_factory=AccuracyBudget)
    worst_frames: WorstFrames | None = None
    keep: KeepFolder | None = None

    @property
    def rows(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """All files, each with its rows."""
        return (self.source, self.runners), *self.others


def run_bench(options: BenchOptions, progress: Progress = SILENT) -> rec.Record:
    """Measure and return the record; failures and errors as for `bench`."""
    asked = [(source, tuple(map(parse_spec, rows))) for source, rows in options.rows]
    specs = [spec for _, found in asked for spec in found]
    check_calibration(specs, options.calibration)
    check_engines(specs, options.engine)
    check_shapes(options.image_sizes, options.batches)
    threads = options.threads or usable_cores()
    with ExitStack() as stack:
        models = open_models(asked, options.model, bool(options.network_sizes), stack, progress)
        described = [model.describe() for model in models]
        card = next((model.card for model in models if model.card is not None), None)
        dataset = open_or_generate(card, options.data, progress)  # first: a typo should not cost an export's minute
        sized = sized_models(models[0], options.network_sizes, stack, progress)
        models += sized
        if options.keep is not None:
            options.keep.check(name for model in models for name in model.made_names())
        options.limits.check(classes := classes_of(card, dataset))
        described += [model.describe() for model in sized]
        pool = ImagePool(max((options.batch, *options.batches)))
        runs = []
        for model in models:
            files = ModelFiles(
                model.source,
                stack.enter_context(scratch_folder()),
                calibration=options.calibration,
                engine=options.engine,
                stem=model.stem,
                keep=options.keep,
                profiles=lambda: _profiles(dataset, options, progress),
                progress=progress,
            )
            runs += open_rows(files, model.specs, threads, stack, model.label)
        opened, reason = open_reference(models[0], runs, threads, stack)
        labels = RowLabels(dataset, classes, options.radius, options.data.on_error, pool, progress)
        reference = labels.compare(runs, opened, options.worst_frames)
        resized = shapes_of(options.image_sizes, options.batches, pool.sizes)
        for size in dict.fromkeys(shape[1:] for shape in resized if pool.labelled):
            labels.compare_at(size, runs)
        if options.isolated:
            for runner in (None if opened is None else opened.runner, *(run.runner for run in runs)):
                if runner is not None:
                    runner.close()
        with GpuWatch() as gpus:
            plan = TimingPlan(options.budget, options.saturation_s, gpus.look, progress, EnergyMeter(gpus))
            timed = _enter(runs, options, threads, stack)
            (shapes, rounds), others = _time(timed, resized, pool, options, plan)
        if options.memory:
            measure_row_memory(runs, shapes, threads, progress, options.engine)
        return rec.Record(
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            model=described[0],
            others=tuple(described[1:]),
            data=_describe(labels),
            settings=_settings(options, threads, resized),
            environment=_environment(threads, gpus),
            shapes=shapes,
            rounds=rounds,
            reference=reference,
            reference_reason=reason,
            rows=tuple(run.row() for run in runs),
            other_cores=others,
            gpu_states=tuple(gpus.states),
        )


def _profiles(dataset: Dataset, options: BenchOptions, progress: Progress) -> tuple[Profile, ...]:
    """Return the data set's own sizes, and each shape of other sizes by itself: kernels are tuned for a profile."""
    most = options.batch if options.image_sizes else max((options.batch, *options.batches))
    own = profile_of_dataset(dataset, options.data.on_error, most, progress)
    resized = shapes_of(options.image_sizes, options.batches, {}) if options.image_sizes else ()
    return (own, *(Profile(shape, shape, shape) for shape in resized))


def _enter(runs: list[RowRun], options: BenchOptions, threads: int, stack: ExitStack) -> list[TimedRow]:
    """Return the rows that can be timed with what is timed; a runner that does not open in its own process fails."""
    timed: list[TimedRow] = []
    for run in runs:
        if not run.ok or run.runner is None:
            continue
        if not options.isolated:
            timed.append((run, InProcess(run.runner)))
            continue
        try:
            child = InChild(
                run.name,
                run.spec.runner,
                run.file,
                threads=threads,
                model=run.model,
                engine=options.engine if run.spec.is_engine else None,
            )
        except RunnerError as error:
            run.fail(str(error))
            continue
        timed.append((run, stack.enter_context(child)))
    return timed


def _time(
    timed: Sequence[TimedRow], resized: Sequence[Shape], pool: ImagePool, options: BenchOptions, plan: TimingPlan
) -> tuple[tuple[tuple[Shape, ...], tuple[int, ...]], float | None]:
    """Time the data set's own sizes, then every other shape, then streams.

    Returns:
        The shapes of the own batches with the index of each round's, and the cores that others kept busy meanwhile.
    """
    workers = [runner.pid for _, runner in timed if isinstance(runner, InChild)]
    before, own = CpuClock.read(workers), batches_of(pool.images, options.batch)
    rounds = time_rows(timed, None, own, plan)
    shapes = tuple(dict.fromkeys(image.shape[:3] for image in own)) if timed else ()
    for shape in resized:
        time_rows(timed, shape, batches_of(images_for(shape, pool.images), shape[0]), plan)
    if options.streams is not None and timed:
        measure_streams(timed, batches_of(pool.images, 1), options.streams, plan.progress)
    for run, runner in timed:
        run.notes += [note for note in runner.notes if note not in run.notes]
    found = shapes, tuple(shapes.index(own[index].shape[:3]) for index in rounds)
    return found, other_cores(before, CpuClock.read(workers))


def _describe(labels: RowLabels) -> rec.Data:
    dataset, pool = labels.dataset, labels.pool
    sizes = tuple((height, width, count) for (height, width), count in sorted(pool.sizes.items()))
    return rec.Data(dataset.name, labels.classes, pool.seen, pool.labelled, len(dataset) - pool.seen, sizes)


def _settings(options: BenchOptions, threads: int, resized: Sequence[Shape]) -> rec.Settings:
    budget = options.budget
    return rec.Settings(
        budget.iterations, budget.seconds, budget.warmup, budget.settle_ms, options.batch, threads, options.radius,
        tolerance=budget.tolerance,
        sizes=tuple(dict.fromkeys(shape[1:] for shape in resized)),
        batches=tuple(sorted({shape[0] for shape in resized})),
        isolated=options.isolated,
        streams=options.streams,
    )  # fmt: skip


def _environment(threads: int, gpus: GpuWatch) -> dict[str, Any]:
    """Describe the machine; `nvml` says why the clocks of a GPU are not in the record."""
    found = describe_environment(threads, distributions())
    return found | {"nvml": gpus.reason} if found["gpus"] and gpus.reason else found
