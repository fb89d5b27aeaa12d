"""Accuracy of one runner on one labelled data set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fcn_deploy.card import ignore_index_for
from fcn_deploy.data.dataset import iterate
from fcn_deploy.data.options import DataOptions, classes_of, open_for
from fcn_deploy.errors import DataError
from fcn_deploy.metrics.evaluation import Evaluation
from fcn_deploy.metrics.scores import Scores, scores
from fcn_deploy.runners.base import check_labels
from fcn_deploy.sources.model_source import Artefact
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import INPUT, LABELS

SCHEMA = 1


@dataclass(frozen=True)
class AccuracyReport:
    """What `evaluate` found; IoUs and accuracies are fractions 0..1, nan where there was nothing to score."""

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


def evaluate(
    source: str,
    options: DataOptions,
    *,
    model: str | None = None,
    runner: str | None = None,
    radius: int = 3,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> AccuracyReport:
    """Run every image of a labelled data set and score the labels.

    Args:
        source: "demo", an .onnx file, a checkpoint or a recipe.
        model: what a checkpoint holds where its keys leave a choice.
        runner: spec as in `open_runner`; None for onnxruntime with an .onnx file, else pytorch.
        radius: half width of the boundary band in pixels.

    Raises:
        CheckpointError, GraphError, RunnerError: the model cannot be opened or run.
        DataError: the data set cannot be used, has no labels, or not this model's classes.
    """
    with Artefact(source, progress, model=model) as artefact:
        spec = runner or ("onnxruntime" if artefact.is_onnx else "pytorch")
        sha256, _ = artefact.digest()
        card = artefact.card()
        dataset = open_for(card, options, progress)
        classes = classes_of(card, dataset)
        with artefact.open(spec, threads=threads) as opened:
            counts = Evaluation(len(classes), ignore_index_for(len(classes)), radius)
            with progress.task("evaluating", len(dataset)) as task, interrupts() as check:
                for sample in iterate(dataset, on_error=options.on_error, progress=progress):
                    if sample.label is None:
                        raise DataError(f"{sample.name} has no labels; needed a labelled data set (--labels)")
                    labels = opened.infer({INPUT: sample.image[None]})[LABELS]
                    check_labels(spec, labels, len(classes))
                    counts.update(sample.label[None], labels)
                    task.advance()
                    check()
        return AccuracyReport(
            artefact.path.name, sha256, spec, dataset.name, classes, counts.images, len(dataset) - counts.images,
            radius, scores(counts.overall), scores(counts.boundary), scores(counts.interior),
        )  # fmt: skip


def to_plain(report: AccuracyReport) -> dict[str, Any]:
    """The report as plain data for JSON: nan becomes None."""
    plain: dict[str, Any] = _finite({"schema": SCHEMA, "kind": "accuracy"} | asdict(report))
    return plain


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value
