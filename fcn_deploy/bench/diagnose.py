"""Which stage of a deployment first differs from the one before it, and in which layer: images, labels, tensors."""

from __future__ import annotations

import gc
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import GraphError
from ..metrics.bootstrap import Interval, IouChange, iou_change
from ..metrics.scores import scores
from ..progress import SILENT, Progress
from .chain_labels import ChainLabels, StageLabels, run_chain
from .dataset import DataOptions, classes_of, generated_for, open_for
from .diagnosis import Change, Diagnosis, Step
from .layer_errors import Images, LayerError, layer_errors
from .stages import Stage, chain, open_stages
from .tensors import OnnxSource, source_of
from .tolerances import ROUNDING, TOLERANCES, Tolerance, Tolerances, strictest

LAYER_IMAGES = 4


@dataclass(frozen=True)
class DiagnoseOptions:
    """What to compare.

    Attributes:
        sources: files in the order in which they were made; see `stages.chain`.
        model: what a checkpoint holds where its keys leave a choice.
        generated: whether the images are the generated ones because none were named.
        layer_images: so many of the images, spread over all, are run layer by layer.
        radius: half width of the boundary band in pixels.
    """

    sources: tuple[str, ...]
    data: DataOptions = field(default_factory=DataOptions)
    generated: bool = False
    model: str | None = None
    layer_images: int = LAYER_IMAGES
    radius: int = 3
    threads: int | None = None
    tolerances: Tolerances = field(default_factory=lambda: TOLERANCES)


def diagnose(options: DiagnoseOptions, progress: Progress = SILENT) -> Diagnosis:
    """Run the images through every stage, compare labels, then layers.

    Raises:
        CheckpointError, GraphError, EngineError: a file cannot be read, or there is nothing to compare.
        DataError: the data set cannot be used, or not with this model's classes.
        RunnerError: fewer than two stages run here.
    """
    stages = chain(options.sources, model=options.model, progress=progress)
    card = stages[0].card
    dataset = (generated_for if options.generated else open_for)(card, options.data, progress)
    classes = classes_of(card, dataset)
    if not classes:
        raise GraphError(f"{stages[0].source} names no classes; give them (--classes)")
    with ExitStack() as stack:
        open_stages(stages, stack, options.threads)
        labels = run_chain(
            stages,
            dataset,
            num_classes=len(classes),
            keep=options.layer_images,
            radius=options.radius,
            on_error=options.data.on_error,
            progress=progress,
        )
    for stage in stages:  # closed: let go of the weights before the layers need the memory
        stage.runner = None
    steps = _steps(stages, labels, options, progress)
    labelled = len(labels.stages[0].counts)
    return Diagnosis(
        steps, dataset.name, len(labels.names), labelled, len(labels.kept), options.radius, classes, options.tolerances
    )


def _steps(
    stages: Sequence[Stage], labels: ChainLabels, options: DiagnoseOptions, progress: Progress
) -> tuple[Step, ...]:
    ran = {entry.stage.name: index for index, entry in enumerate(labels.stages)}
    steps: list[Step] = []
    for stage in stages:
        if stage.status != "ok":
            steps.append(Step(stage.name, stage.kind, stage.claim, stage.status, stage.reason))
        else:
            diverged = {step.name for step in steps if step.reasons}
            steps.append(_step(labels, ran[stage.name], diverged, options, progress))
            gc.collect()  # nodes and values refer to each other; the graphs of one step would stay beside the next one's
    return tuple(steps)


def _step(
    labels: ChainLabels, index: int, diverged: Collection[str], options: DiagnoseOptions, progress: Progress
) -> Step:
    own = labels.stages[index]
    stage = own.stage
    mean_iou = scores(np.sum(own.counts, axis=0)).mean_iou if own.counts else None
    if index == 0:
        return Step(stage.name, stage.kind, stage.claim, "ok", mean_iou=mean_iou)
    first, before = labels.stages[0], labels.stages[index - 1]
    changes = (
        Change(before.stage.name, own.before.overall, own.before.boundary, _iou_change(before, own)),
        Change(first.stage.name, own.first.overall, own.first.boundary, _iou_change(first, own)),
    )
    follows_first = own.first.overall.fraction > own.before.overall.fraction
    parent = _parent([entry.stage for entry in labels.stages[:index]], diverged if follows_first else ())
    layers, no_layers = _layers(stage, parent, labels.kept, options.tolerances, progress)
    limits = options.tolerances[strictest(stage.claim)]
    reasons = _label_reasons(changes, limits, own, labels) + _layer_reasons(layers, parent)
    return Step(
        stage.name, stage.kind, stage.claim, "ok", "", mean_iou, *changes, layers,
        parent.name if layers and parent is not None else None, no_layers, tuple(reasons),
    )  # fmt: skip


def _iou_change(before: StageLabels, after: StageLabels) -> IouChange | None:
    return iou_change(np.stack(before.counts), np.stack(after.counts)) if after.counts else None


def _parent(earlier: Sequence[Stage], without: Collection[str]) -> Stage | None:
    """The stage whose tensors the layers are held against: the last in FP32, from which the others were made.

    Args:
        without: stages not to choose: faulty ones, if the labels are those of the first stage all the same.
    """
    readable = [stage for stage in earlier if stage.kind != "engine" and stage.name not in without]
    wide = [stage for stage in readable if stage.claim == "fp32"]
    return next(reversed(wide or readable), None)


def _layers(
    stage: Stage, parent: Stage | None, images: Images, tolerances: Tolerances, progress: Progress
) -> tuple[tuple[LayerError, ...], str]:
    """The errors of the stage's layers; none, and why."""
    if stage.kind != "onnx":
        what = "an engine shows none of its tensors" if stage.kind == "engine" else "PyTorch's layers are not cut apart"
        return (), f"{what}: its labels alone were compared"
    other = None if parent is None else source_of(parent)
    if other is None or parent is None:
        return (), "no stage before it shows its tensors: its labels alone were compared"
    own = OnnxSource(Path(stage.source), stage.card)
    errors = layer_errors(own, other, images, tolerances, least=strictest(parent.claim), progress=progress)
    return errors, "" if errors else f"no tensor bears the same name in {parent.name}: its labels alone were compared"


def _label_reasons(
    changes: tuple[Change, Change], limits: Tolerance, own: StageLabels, labels: ChainLabels
) -> list[str]:
    """Beyond the limits against both the stage before and the first: a fault of an earlier stage is not this one's."""
    reasons = []
    differing = [1 - change.agreement.fraction for change in changes]
    if min(differing) > limits.labels and not _only_rounding(own, limits, labels):
        reasons.append(f"{min(differing):.2%} of the labels differ (limit {limits.labels:.2%})")
    drops = [change.iou.mean for change in changes if change.iou is not None]
    if drops and all(_lost(drop) > limits.miou for drop in drops):
        least = min(drops, key=_lost)
        reasons.append(f"mean IoU changed by {100 * least.value:+.2f} points (limit -{limits.miou:g})")
    return reasons


def _only_rounding(own: StageLabels, limits: Tolerance, labels: ChainLabels) -> bool:
    """Whether an FP32 stage's labels differ only where the first stage's two best logits are as good as equal."""
    if own.stage.claim != "fp32" or labels.largest_logit is None:
        return False
    return (own.first.largest_margin or 0.0) <= ROUNDING * labels.largest_logit


def _lost(change: Interval) -> float:
    """Points of IoU that were lost for sure: by the whole interval, or by the value where there is none."""
    return -100 * (change.value if change.high is None else change.high)


def _layer_reasons(layers: Sequence[LayerError], parent: Stage | None) -> list[str]:
    guilty = [layer for layer in layers if layer.out_of_line]
    if not guilty or parent is None:
        return []
    others = f" and {len(guilty) - 1} more" if len(guilty) > 1 else ""
    return [f"{guilty[0].name}{others} out of line when fed the tensors of {parent.name}"]
