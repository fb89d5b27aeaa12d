"""The labels of every row, against the ground truth and against the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fcn_deploy.benchmark.agreement import LabelComparison, compare_labels
from fcn_deploy.benchmark.images import resized
from fcn_deploy.benchmark.options import BenchOptions
from fcn_deploy.benchmark.pool import Pool
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.row_runs import RowRun, accuracy_of, add_comparison
from fcn_deploy.card import ignore_index_for
from fcn_deploy.data.dataset import Dataset, iterate
from fcn_deploy.runners.base import Runner
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.progress import Progress
from fcn_deploy.vocabulary import LABELS, LOGITS, Size


def compare_rows(
    runs: list[RowRun],
    reference: Runner | None,
    dataset: Dataset,
    classes: tuple[str, ...],
    options: BenchOptions,
    pool: Pool,
    progress: Progress,
) -> rec.Reference | None:
    """Fill in accuracy and agreement; returns what they were compared with."""
    running = [run for run in runs if run.runner is not None]
    if options.keep is not None:
        places = [place for place, run in enumerate(runs) if run.runner is not None]
        options.keep.begin(classes, dataset.palette, places)
    with progress.task("comparing labels", len(dataset)) as task, interrupts() as check:
        samples = iterate(dataset, on_error=options.data.on_error, progress=progress)
        if reference is not None:
            reference.output_names = (LABELS, LOGITS)
        results, own = compare_labels(
            pool.watch(samples, task, check),
            [run.runner for run in running if run.runner is not None],
            reference,
            num_classes=max(1, len(classes)),
            ignore_index=ignore_index_for(len(classes)),
            radius=options.radius,
            keep=options.keep,
        )
    for run, result in zip(running, results, strict=True):
        add_comparison(run, result, None if reference is None else own)
    return _reference_facts(reference, own)


def _reference_facts(reference: Runner | None, own: LabelComparison) -> rec.Reference | None:
    if reference is not None:
        reference.output_names = (LABELS,)
    if reference is None or own.failure is not None:
        return None
    return rec.Reference(reference.name, accuracy_of(own))


def accuracies_at(
    size: Size,
    runs: Sequence[RowRun],
    dataset: Dataset,
    classes: tuple[str, ...],
    options: BenchOptions,
    progress: Progress,
) -> dict[str, rec.Accuracy | None]:
    """Accuracy of every row's runner on the data set at another size; without the rows that cannot run it."""
    running = [(run, run.runner) for run in runs if run.ok and run.runner is not None]
    title = f"comparing labels at {size[0]}x{size[1]}"
    with progress.task(title, len(dataset)) as task, interrupts() as check:
        pool = Pool(keeps=False)
        samples = resized(iterate(dataset, on_error=options.data.on_error, progress=progress), size)
        results, _ = compare_labels(
            pool.watch(samples, task, check),
            [runner for _, runner in running],
            None,
            num_classes=max(1, len(classes)),
            ignore_index=ignore_index_for(len(classes)),
            radius=options.radius,
        )
    return {
        run.row.runner: _without_images(accuracy_of(result))
        for (run, _), result in zip(running, results, strict=True)
        if result.failure is None
    }


def _without_images(accuracy: rec.Accuracy | None) -> rec.Accuracy | None:
    """A curve over sizes needs no matrix of each image."""
    return None if accuracy is None else replace(accuracy, by_image=())
