"""The benchmark: open the runners, compare their labels, time them, weigh them, and write it all down."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..data.dataset import Dataset, iterate
from ..deploy.engine_profiles import of_dataset
from ..environment import describe_environment
from ..errors import FcnDeployError, RunnerError
from ..inputs.artefact import Artefact
from ..inputs.dataset import DataOptions, classes_of, generated_for, open_for
from ..interrupt import interrupts
from ..progress import SILENT, Progress
from ..runners.base import LABELS, LOGITS, Runner
from ..runners.threads import usable_cores
from ..spec import ModelCard, ignore_index_for
from . import record as rec
from .batches import batches_of
from .contention import CpuClock, other_cores
from .entrants import Entrant, accuracy_of, add_comparison, add_samples, open_entrants
from .forms import Forms, check_calibration, parse_form
from .frames_kept import FramesKept
from .latency import Budget, measure
from .memory import measure_memory
from .parity import Comparison, compare
from .pool import Pool

REFERENCE = "pytorch"


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
        source: "demo", an .onnx file, a checkpoint or a recipe.
        model: what a checkpoint holds where its keys leave a choice.
        runners: specs as in `parse_form`; one may stand twice (the difference is then the noise).
        generated: whether the data set is the default one, whose labels are dropped if the model has other classes.
        calibration: images for INT8, which is refused without.
        batch: images an inference, when timing.
        threads: CPU threads of every runner; None for all usable cores.
        radius: half width of the boundary band in pixels.
        memory: whether to measure peak memory, in a fresh process for each runner.
        keep: gets the frames on which rows and reference differ most, for a page that shows them.
    """

    source: str = "demo"
    model: str | None = None
    runners: tuple[str, ...] = ("pytorch", "onnxruntime")
    data: DataOptions = field(default_factory=DataOptions)
    generated: bool = True
    calibration: DataOptions | None = None
    budget: Budget = field(default_factory=Budget)
    batch: int = 1
    threads: int | None = None
    radius: int = 3
    memory: bool = True
    keep: FramesKept | None = None


def run_bench(options: BenchOptions, progress: Progress = SILENT) -> rec.Record:
    """Measure and return the record.

    A runner that cannot be opened here is skipped, one that fails is failed, each with its reason in its row; the
    others go on.

    Raises:
        UnknownNameError: no such runner or provider.
        CheckpointError, GraphError, ExportError: no runner can use the file.
        DataError: the data set cannot be used, or not with this model's classes.
    """
    wanted = [parse_form(spec) for spec in options.runners]
    check_calibration(wanted, options.calibration)
    threads = options.threads or usable_cores()
    with ExitStack() as stack:
        artefact = stack.enter_context(Artefact(options.source, progress, model=options.model))
        sha256, size_bytes = artefact.digest()
        # The data set first: a slip in its path should not cost the minute that an export takes.
        card = artefact.card()
        dataset, pool = _open_data(card, options, progress), Pool(options.batch)
        forms = Forms(
            artefact,
            _folder(stack),
            calibration=options.calibration,
            profiles=lambda: (of_dataset(dataset, options.data.on_error, options.batch, progress),),
            progress=progress,
        )
        entrants = open_entrants(forms, wanted, threads, stack)
        reference, reason = _open_reference(artefact, entrants, threads, stack)
        own = _compare(entrants, reference, dataset, classes_of(card, dataset), options, pool, progress)
        before = CpuClock.read()
        shapes, rounds = _time(entrants, pool, options, progress)
        others = other_cores(before, CpuClock.read())
        if options.memory:
            _weigh(entrants, options.model, shapes, threads, progress)
        return rec.Record(
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            model=rec.Model(artefact.path.name, sha256, size_bytes, _plain(card)),
            data=_describe(dataset, classes_of(card, dataset), pool),
            settings=_settings(options, threads),
            environment=describe_environment(threads),
            shapes=shapes,
            rounds=rounds,
            reference=own,
            reference_reason=reason,
            rows=tuple(entrant.row for entrant in entrants),
            other_cores=others,
        )


def _open_reference(
    artefact: Artefact, entrants: list[Entrant], threads: int, stack: ExitStack
) -> tuple[Runner | None, str]:
    """The first PyTorch runner among the entrants, else one opened beside them; None with the reason."""
    for entrant in entrants:
        if entrant.runner is not None and entrant.row.runner.partition(":")[0] == REFERENCE:
            return entrant.runner, ""
    try:
        return stack.enter_context(artefact.open(REFERENCE, threads=threads)), ""
    except FcnDeployError as error:
        return None, str(error)


def _folder(stack: ExitStack) -> Path:
    """For the files that are made; gone with `stack`."""
    return Path(stack.enter_context(TemporaryDirectory(prefix="fcn-deploy-", ignore_cleanup_errors=True)))


def _open_data(card: ModelCard | None, options: BenchOptions, progress: Progress) -> Dataset:
    return (generated_for if options.generated else open_for)(card, options.data, progress)


def _compare(
    entrants: list[Entrant],
    reference: Runner | None,
    dataset: Dataset,
    classes: tuple[str, ...],
    options: BenchOptions,
    pool: Pool,
    progress: Progress,
) -> rec.Reference | None:
    """Fill in accuracy and agreement; returns what they were compared with."""
    running = [entrant for entrant in entrants if entrant.runner is not None]
    if options.keep is not None:
        places = [place for place, entrant in enumerate(entrants) if entrant.runner is not None]
        options.keep.begin(classes, dataset.palette, places)
    with progress.task("comparing labels", len(dataset)) as task, interrupts() as check:
        samples = iterate(dataset, on_error=options.data.on_error, progress=progress)
        if reference is not None:
            reference.output_names = (LABELS, LOGITS)
        results, own = compare(
            pool.watch(samples, task, check),
            [entrant.runner for entrant in running if entrant.runner is not None],
            reference,
            num_classes=max(1, len(classes)),
            ignore_index=ignore_index_for(len(classes)),
            radius=options.radius,
            keep=options.keep,
        )
    for entrant, result in zip(running, results, strict=True):
        add_comparison(entrant, result, None if reference is None else own)
    return _reference_facts(reference, own)


def _reference_facts(reference: Runner | None, own: Comparison) -> rec.Reference | None:
    if reference is not None:
        reference.output_names = (LABELS,)
    if reference is None or own.failure is not None:
        return None
    return rec.Reference(reference.name, accuracy_of(own.accuracy))


def _time(
    entrants: list[Entrant], pool: Pool, options: BenchOptions, progress: Progress
) -> tuple[tuple[tuple[int, int, int], ...], tuple[int, ...]]:
    """Fill in latencies; returns the distinct N, H, W and the index among them of each round."""
    running = [entrant for entrant in entrants if entrant.ok]
    batches = batches_of(pool.images, options.batch)
    shapes = list(dict.fromkeys(batch.shape[:3] for batch in batches))
    runners = [entrant.runner for entrant in running if entrant.runner is not None]
    if not runners:
        return (), ()
    rounds, samples = measure(runners, batches, options.budget, progress)
    for entrant, sample in zip(running, samples, strict=True):
        add_samples(entrant, sample)
    return tuple(shapes), tuple(shapes.index(batches[index].shape[:3]) for index in rounds)


def _weigh(
    entrants: list[Entrant],
    model: str | None,
    shapes: tuple[tuple[int, int, int], ...],
    threads: int,
    progress: Progress,
) -> None:
    """Fill in peak memory at the largest batch; where it cannot be measured the row gets a note."""
    running = [entrant for entrant in entrants if entrant.ok]
    with progress.task("measuring memory", len(running)) as task:
        for entrant in running:
            try:
                largest = max(shapes, key=lambda shape: shape[0] * shape[1] * shape[2])
                memory = measure_memory(entrant.form.runner, entrant.file, largest, threads=threads, model=model)
                entrant.row = replace(entrant.row, memory=memory)
            except RunnerError as error:
                entrant.row = replace(entrant.row, notes=(*entrant.row.notes, str(error)))
            task.advance()


def _describe(dataset: Dataset, classes: tuple[str, ...], pool: Pool) -> rec.Data:
    sizes = tuple((height, width, count) for (height, width), count in sorted(pool.sizes.items()))
    left_out = len(dataset) - pool.seen
    return rec.Data(dataset.name, classes, pool.seen, pool.labelled, left_out, sizes)


def _settings(options: BenchOptions, threads: int) -> rec.Settings:
    budget = options.budget
    return rec.Settings(
        budget.iterations, budget.seconds, budget.warmup, budget.settle_ms, options.batch, threads, options.radius
    )


def _plain(card: ModelCard | None) -> dict[str, Any] | None:
    return None if card is None else dict(json.loads(card.to_json()))
