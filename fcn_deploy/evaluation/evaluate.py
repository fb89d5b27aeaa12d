"""Score the labels of one file on a labelled data set, or of several next to each other."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import overload

from fcn_deploy.data.dataset import iterate
from fcn_deploy.data.options import DataOptions, check_same_classes, classes_of, open_for_model
from fcn_deploy.errors import DataError, RunnerError
from fcn_deploy.evaluation.report import AccuracyComparison, AccuracyReport
from fcn_deploy.evaluation.scored_file import ScoredFile
from fcn_deploy.system.arguments import Threads, checked
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.system.serialization.decode import Count


@overload
def evaluate(
    models: StrPath,
    data: StrPath | DataOptions | None = None,
    *,
    reference: None = None,
    model_name: str | None = None,
    runner: str | None = None,
    radius: int = 3,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> AccuracyReport: ...


@overload
def evaluate(
    models: list[StrPath] | tuple[StrPath, ...],
    data: StrPath | DataOptions | None = None,
    *,
    reference: StrPath | None = None,
    model_name: str | None = None,
    runner: str | None = None,
    radius: int = 3,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> AccuracyComparison: ...


@checked
def evaluate(
    models: StrPath | list[StrPath] | tuple[StrPath, ...],
    data: StrPath | DataOptions | None = None,
    *,
    reference: StrPath | None = None,
    model_name: str | None = None,
    runner: str | None = None,
    radius: Count = 3,
    threads: Threads | None = None,
    progress: Progress = SILENT,
) -> AccuracyReport | AccuracyComparison:
    """Run every image of a labelled data set through a model, or several, and score the labels.

    Args:
        models: "demo", an .onnx file, an engine, a checkpoint or a recipe; or a list of them, with the same classes.
        data: a list of "image label" pairs, a Pascal VOC root or "synthetic[:COUNT[:SEED[:HxW]]]"; `DataOptions` for
            a folder of images with a folder of labels, class names and the like. None generates scenes.
        reference: what the others are compared with; None is the first. A file that is not among them joins them.
        model_name: the network that a checkpoint holds, where its keys leave a choice.
        runner: "pytorch[:cpu|cuda]", "onnxruntime[:cpu|cuda|...]", ...; None is the default of the file's kind.
        radius: half width of the boundary band in pixels.
        threads: CPU threads; None leaves the number to the runner.

    Returns:
        Pixel accuracy, mean accuracy, mean IoU and frequency weighted IoU, as fractions 0..1, over all pixels, near
        label changes and away from them. Of a list an `AccuracyComparison`: the same of each file, the change of mIoU
        and the labels that are as the reference's; a file that this machine cannot run has the reason.

    Raises:
        CheckpointError, GraphError, RunnerError: the model cannot be opened or run.
        DataError: the data set cannot be used, has no labels, or has other classes than the model.

    Example:
        >>> import fcn_deploy
        >>> accuracy = fcn_deploy.evaluate("demo", "synthetic:2:0:48x64")
        >>> accuracy.images, 0 <= accuracy.overall.mean_iou <= 1
        (2, True)
    """
    options = DataOptions.of(data)
    alone = isinstance(models, (str, os.PathLike))
    given = [models] if isinstance(models, (str, os.PathLike)) else list(models)
    if reference is not None:
        given = [reference, *(model for model in given if os.fspath(model) != os.fspath(reference))]
    with ExitStack() as stack:
        files = [
            ScoredFile.open(model, stack, runner, threads, model_name if alone else None, progress) for model in given
        ]
        first = files[0]
        if first.runner is None:
            raise first.error or RunnerError(f"{first.source.text} cannot be run")
        for file in files[1:]:
            if first.card is not None and file.card is not None:
                check_same_classes(first.source.text, first.card, file.source.text, file.card)
        dataset = open_for_model(first.card, options, progress)
        classes = classes_of(first.card, dataset)
        for file in files:
            file.begin(len(classes), radius)
        samples = iterate(dataset, on_error=options.on_error, progress=progress)
        for sample in track(progress, "evaluating", samples, len(dataset)):
            if sample.label is None:
                raise DataError(f"{sample.name} has no labels; expected a labelled data set (--labels)")
            labels = None
            for file in files:
                labels = file.add(sample, sample.label, labels)
        reports = [file.report(dataset, classes, radius) for file in files]
    if alone and reference is None and reports[0] is not None:
        return reports[0]
    return AccuracyComparison(tuple(file.compared(report, first) for file, report in zip(files, reports, strict=True)))
