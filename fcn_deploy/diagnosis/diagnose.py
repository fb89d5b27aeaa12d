"""Which stage of a deployment first differs from the one before it, and in which layer: images, labels, tensors."""

from __future__ import annotations

import gc
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fcn_deploy.data.options import DataOptions, classes_of, generated_for, open_for
from fcn_deploy.diagnosis.layer_errors import Images, LayerError, layer_errors
from fcn_deploy.diagnosis.result import Change, Diagnosis, StageComparison
from fcn_deploy.diagnosis.stage_labels import ChainLabels, StageLabels, run_chain
from fcn_deploy.diagnosis.stages import Stage, chain, open_stages
from fcn_deploy.diagnosis.tensors import OnnxSource, source_of
from fcn_deploy.diagnosis.tolerances import TOLERANCES, Tolerances, limits_of
from fcn_deploy.diagnosis.verdict import label_reasons, layer_reasons, only_rounding
from fcn_deploy.errors import GraphError
from fcn_deploy.metrics.agreement import AgreementCounts
from fcn_deploy.metrics.bootstrap import iou_change
from fcn_deploy.metrics.scores import scores
from fcn_deploy.system.progress import SILENT, Progress

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
) -> tuple[StageComparison, ...]:
    ran = {entry.stage.name: index for index, entry in enumerate(labels.stages)}
    steps: list[StageComparison] = []
    for stage in stages:
        if stage.status != "ok":
            steps.append(StageComparison(stage.name, stage.kind, stage.claim, stage.status, stage.reason))
        else:
            diverged = {step.name for step in steps if step.reasons}
            steps.append(_step(labels, ran[stage.name], diverged, options, progress))
            gc.collect()  # nodes and values refer to each other; one step's graphs would stay beside the next one's
    return tuple(steps)


def _step(
    labels: ChainLabels, index: int, diverged: Collection[str], options: DiagnoseOptions, progress: Progress
) -> StageComparison:
    own = labels.stages[index]
    stage = own.stage
    mean_iou = scores(np.sum(own.counts, axis=0)).mean_iou if own.counts else None
    if index == 0:
        return StageComparison(stage.name, stage.kind, stage.claim, "ok", mean_iou=mean_iou)
    first, before = labels.stages[0], labels.stages[index - 1]
    changes = [_change(before, own, own.before), _change(first, own, own.first)]
    follows_first = own.first.overall.fraction > own.before.overall.fraction
    parent = _parent([entry.stage for entry in labels.stages[:index]], diverged if follows_first else ())
    layers, no_layers = _layers(stage, parent, labels.kept, options.tolerances, progress)
    rounding = stage.claim == "fp32" and only_rounding(own.first.largest_margin, labels.largest_logit)
    reasons = label_reasons(changes, options.tolerances[limits_of(stage.claim)], len(own.counts), rounding=rounding)
    reasons += layer_reasons(layers, "" if parent is None else parent.name)
    return StageComparison(
        stage.name,
        stage.kind,
        stage.claim,
        "ok",
        mean_iou=mean_iou,
        before=changes[0],
        first=changes[1],
        layers=layers,
        layers_against=parent.name if layers and parent is not None else None,
        no_layers=no_layers,
        reasons=tuple(reasons),
    )


def _change(earlier: StageLabels, own: StageLabels, agreement: AgreementCounts) -> Change:
    iou = iou_change(np.stack(earlier.counts), np.stack(own.counts)) if own.counts else None
    return Change(earlier.stage.name, agreement.overall, agreement.boundary, iou)


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
    try:
        errors = layer_errors(own, other, images, tolerances, least=limits_of(parent.claim), progress=progress)
    except GraphError as error:
        return (), str(error)
    return errors, "" if errors else f"no tensor bears the same name in {parent.name}: its labels alone were compared"
