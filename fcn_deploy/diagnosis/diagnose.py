"""Find the first stage of a deployment that differs from the one before it, and the layer that is to blame."""

from __future__ import annotations

import gc
import os
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcn_deploy.data.options import DataOptions, classes_of, open_or_generate
from fcn_deploy.diagnosis.layer_errors import Images, LayerError, layer_errors
from fcn_deploy.diagnosis.result import Change, Diagnosis, StageComparison
from fcn_deploy.diagnosis.stage_labels import ChainLabels, StageLabels, run_chain
from fcn_deploy.diagnosis.stages import Stage, open_chain, open_stages
from fcn_deploy.diagnosis.tensors import OnnxSource, tensor_source
from fcn_deploy.diagnosis.tolerances import FEWEST_FOR_MIOU, ROUNDING, TOLERANCES, Tolerance, Tolerances, limits_of
from fcn_deploy.errors import GraphError
from fcn_deploy.metrics.agreement import AgreementCounts
from fcn_deploy.metrics.bootstrap import iou_change
from fcn_deploy.metrics.budget import judge_loss, points_lost
from fcn_deploy.metrics.scores import scores
from fcn_deploy.system.arguments import Positive, Threads, checked
from fcn_deploy.system.decode import Count
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import SILENT, Progress

IMAGES = 32  # at most, where the number is not given


@checked
def diagnose(
    stages: Sequence[StrPath],
    data: StrPath | DataOptions | None = None,
    *,
    model_name: str | None = None,
    layer_images: Positive = 4,
    radius: Count = 3,
    threads: Threads | None = None,
    tolerances: Tolerances = TOLERANCES,
    progress: Progress = SILENT,
) -> Diagnosis:
    """Find the first stage of a deployment that differs from the one before it, and its first layer that does.

    Args:
        stages: files in the order in which they were made: "demo" or a checkpoint, then .onnx files, then an engine.
            The first is the reference; if it is an FP32 .onnx file, PyTorch runs it as well.
        data: images, as for `evaluate`, 32 at most, with or without labels; `DataOptions` for other numbers. None
            generates them.
        model_name: the network that a checkpoint holds, where its keys leave a choice.
        layer_images: number of these images that are run layer by layer.
        radius: half width of the boundary band in pixels.
        threads: CPU threads; None leaves the number to the runner.
        tolerances: limits by precision; `diagnosis.tolerances.with_changes` replaces some of them.

    Returns:
        Every step with its labels, mIoU and layers against those before; `first_divergence` is None if all is well. A
        stage that this machine cannot run is skipped with its reason.

    Raises:
        CheckpointError, GraphError, EngineError: a file cannot be read, or there is nothing to compare.
        DataError: the data set cannot be used, or not with the model's classes.
        RunnerError: fewer than two stages run here.

    Example:
        >>> import fcn_deploy
        >>> found = fcn_deploy.diagnose(["demo", "demo.onnx"], "synthetic:2:0:48x64", layer_images=1)
        >>> [step.name for step in found.steps], found.first_divergence
        (['demo', 'demo.onnx'], None)
    """
    options = DataOptions.of(data, limit=IMAGES)
    chained = open_chain([os.fspath(stage) for stage in stages], model=model_name, progress=progress)
    card = chained[0].card
    dataset = open_or_generate(card, options, progress)
    classes = classes_of(card, dataset)
    if not classes:
        raise GraphError(f"{chained[0].source} names no classes; give them (--classes)")
    with ExitStack() as stack:
        open_stages(chained, stack, threads)
        labels = run_chain(
            chained,
            dataset,
            num_classes=len(classes),
            keep=layer_images,
            radius=radius,
            on_error=options.on_error,
            progress=progress,
        )
    for stage in chained:  # closed: let go of the weights before the layers need the memory
        stage.runner = None
    steps = _compare_stages(chained, labels, tolerances, progress)
    labelled = len(labels.stages[0].counts)
    return Diagnosis(steps, dataset.name, len(labels.names), labelled, len(labels.kept), radius, classes, tolerances)


def _compare_stages(
    stages: Sequence[Stage], labels: ChainLabels, tolerances: Tolerances, progress: Progress
) -> tuple[StageComparison, ...]:
    ran = {entry.stage.name: index for index, entry in enumerate(labels.stages)}
    steps: list[StageComparison] = []
    for stage in stages:
        if stage.status != "ok":
            steps.append(StageComparison(stage.name, stage.kind, stage.claim, stage.status, stage.reason))
        else:
            diverged = {step.name for step in steps if step.reasons}
            steps.append(_step(labels, ran[stage.name], diverged, tolerances, progress))
            gc.collect()  # nodes and values refer to each other; without this they overlap
    return tuple(steps)


def _step(
    labels: ChainLabels, index: int, diverged: Collection[str], tolerances: Tolerances, progress: Progress
) -> StageComparison:
    own = labels.stages[index]
    stage = own.stage
    mean_iou = scores(np.sum(own.counts, axis=0)).mean_iou if own.counts else None
    alone = StageComparison(stage.name, stage.kind, stage.claim, "ok", mean_iou=mean_iou)
    if index == 0:
        return alone
    first, before = labels.stages[0], labels.stages[index - 1]
    changes = [_change(before, own, own.before), _change(first, own, own.first)]
    follows_first = own.first.overall.fraction > own.before.overall.fraction
    parent = _reference_stage([entry.stage for entry in labels.stages[:index]], diverged if follows_first else ())
    layers, no_layers = _layers(stage, parent, labels.kept, tolerances, progress)
    rounding = stage.claim == "fp32" and only_rounding(own.first.largest_margin, labels.largest_logit)
    reasons = label_reasons(changes, tolerances[limits_of(stage.claim)], len(own.counts), rounding=rounding)
    reasons += layer_reasons(layers, "" if parent is None else parent.name)
    return replace(
        alone,
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


def _reference_stage(earlier: Sequence[Stage], without: Collection[str]) -> Stage | None:
    """Return the stage whose tensors the layers are compared with: the last in FP32, from which the others were made.

    Args:
        without: stages not to choose: faulty ones, if the labels are those of the first stage all the same.
    """
    readable = [stage for stage in earlier if stage.kind != "engine" and stage.name not in without]
    wide = [stage for stage in readable if stage.claim == "fp32"]
    return next(reversed(wide or readable), None)


def _layers(
    stage: Stage, parent: Stage | None, images: Images, tolerances: Tolerances, progress: Progress
) -> tuple[tuple[LayerError, ...], str]:
    """Return the errors of the stage's layers; none, and why."""
    if stage.kind != "onnx":
        what = "an engine shows none of its tensors" if stage.kind == "engine" else "PyTorch's layers are not cut apart"
        return (), f"{what}: its labels alone were compared"
    other = None if parent is None else tensor_source(parent)
    if other is None or parent is None:
        return (), "no stage before it shows its tensors: its labels alone were compared"
    own = OnnxSource(Path(stage.source), stage.card)
    try:
        errors = layer_errors(own, other, images, tolerances, least=limits_of(parent.claim), progress=progress)
    except GraphError as error:
        return (), str(error)
    return errors, "" if errors else f"no tensor bears the same name in {parent.name}: its labels alone were compared"


def label_reasons(changes: Sequence[Change], limits: Tolerance, labelled: int, *, rounding: bool = False) -> list[str]:
    """Return how a stage's labels are beyond the limits; empty if they are not.

    Args:
        changes: against the stage before and against the first. Both must be beyond a limit: a stage that differs from
            a faulty one before it, or that hands on an earlier fault, is not at fault.
        labelled: images with a ground truth.
        rounding: whether all labels that differ are `only_rounding`.
    """
    reasons = []
    differing = min(1 - change.agreement.fraction for change in changes)
    if differing > limits.labels and not rounding:
        reasons.append(f"{differing:.2%} of the labels differ (limit {limits.labels:.2%})")
    losses = [points_lost(change.iou.mean) for change in changes if change.iou is not None]
    if labelled >= FEWEST_FOR_MIOU and losses and all(judge_loss(loss, limits.miou) == "broken" for loss in losses):
        least = min(losses, key=lambda loss: loss.value)
        reasons.append(f"mean IoU fell by {least.value:.2f} points; at most {limits.miou:g} are allowed")
    return reasons


def only_rounding(largest_margin: float | None, largest_logit: float | None) -> bool:
    """Return whether labels differ only where the reference's two best logits are as good as equal in FP32.

    Args:
        largest_margin: between these two where a label differs; None if none does.
        largest_logit: of the reference; None if it gives no logits, and then nothing is known.
    """
    return largest_logit is not None and (largest_margin or 0.0) <= ROUNDING * largest_logit


def layer_reasons(layers: Sequence[LayerError], other: str) -> list[str]:
    """Return the layers out of line, in short; `other` is the stage whose tensors they were fed."""
    divergent_layers = [layer for layer in layers if layer.out_of_line]
    if not divergent_layers:
        return []
    more = f" and {len(divergent_layers) - 1} more" if len(divergent_layers) > 1 else ""
    return [f"{divergent_layers[0].name}{more} out of line when fed the tensors of {other}"]
