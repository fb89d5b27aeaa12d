"""Score one runner on one labelled data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fcn_deploy.card import ignore_index_for
from fcn_deploy.data.dataset import iterate
from fcn_deploy.data.options import DataOptions, classes_of, open_for_model
from fcn_deploy.errors import DataError
from fcn_deploy.metrics.boundary import Evaluation
from fcn_deploy.metrics.scores import Scores, scores
from fcn_deploy.runners.label_checks import check_labels
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.arguments import Threads, checked
from fcn_deploy.system.decode import Count
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.plain import plain
from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.vocabulary import INPUT, LABELS

SCHEMA = 1


@dataclass(frozen=True)
class AccuracyReport:
    """Hold the accuracy of a model on a data set.

    Attributes:
        model, sha256: name and digest of the model's file.
        runner, data: what ran it, and on which data set.
        classes: class names, index = label.
        images, left_out: images scored, and images that could not be read.
        radius: half width of the boundary band in pixels.
        overall, boundary, interior: scores over all pixels, those near a label change of the ground truth, and the
            others. IoUs and accuracies are fractions 0..1, nan where there was nothing to score.
    """

    model: str
    sha256: str
    runner: str
    data: str
    classes: tuple[str, ...]
    images: int
    left_out: int
    radius: int
    overall: Scores
    boundary: Scores
    interior: Scores

    def to_plain(self) -> dict[str, Any]:
        """Return the report as JSON holds it: fractions 0..1, None where there was nothing to score."""
        return {"schema": SCHEMA, "kind": "accuracy", **plain(self)}


@checked
def evaluate(
    model: StrPath,
    data: StrPath | DataOptions | None = None,
    *,
    model_name: str | None = None,
    runner: str | None = None,
    radius: Count = 3,
    threads: Threads | None = None,
    progress: Progress = SILENT,
) -> AccuracyReport:
    """Run every image of a labelled data set through a model and score the labels.

    Args:
        model: "demo", an .onnx file, an engine, a checkpoint or a recipe.
        data: a list of "image label" pairs, a Pascal VOC root or "synthetic[:COUNT[:SEED[:HxW]]]"; `DataOptions` for
            a folder of images with a folder of labels, class names and the like. None generates scenes.
        model_name: the network that a checkpoint holds, where its keys leave a choice.
        runner: "pytorch[:cpu|cuda]", "onnxruntime[:cpu|cuda|...]", ...; None is the default of the file's kind.
        radius: half width of the boundary band in pixels.
        threads: CPU threads; None leaves the number to the runner.

    Returns:
        Pixel accuracy, mean accuracy, mean IoU and frequency weighted IoU, as fractions 0..1, over all pixels, near
        label changes and away from them.

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
    with ModelSource(model, progress, model=model_name) as source:
        spec = runner or source.default_runner
        sha256, _ = source.digest()
        card = source.card()
        dataset = open_for_model(card, options, progress)
        classes = classes_of(card, dataset)
        with source.open(spec, threads=threads) as opened:
            counts = Evaluation(len(classes), ignore_index_for(len(classes)), radius)
            samples = iterate(dataset, on_error=options.on_error, progress=progress)
            for sample in track(progress, "evaluating", samples, len(dataset)):
                if sample.label is None:
                    raise DataError(f"{sample.name} has no labels; expected a labelled data set (--labels)")
                labels = opened.infer({INPUT: sample.image[None]})[LABELS]
                check_labels(spec, labels, len(classes))
                counts.update(sample.label[None], sample.counted(labels))
        return AccuracyReport(
            source.path.name, sha256, spec, dataset.name, classes, counts.images, len(dataset) - counts.images,
            radius, scores(counts.overall), scores(counts.boundary), scores(counts.interior),
        )  # fmt: skip
