"""Find the first stage of a deployment that differs from the one before it, and the layer that is to blame."""

from __future__ import annotations

import gc
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcn_deploy.data.options import DataOptions, classes_of, open_or_generate
from fcn_deploy.diagnosis.layer_errors import Images, LayerError, layer_errors
from fcn_deploy.diagnosis.reasons import Rules, judge_stage, label_reasons, layer_reasons, only_rounding
from fcn_deploy.diagnosis.result import Change, Diagnosis, StageComparison
from fcn_deploy.diagnosis.stage_labels import ChainLabels, StageLabels, run_chain
from fcn_deploy.diagnosis.stages import Stage, open_chain, open_stages
from fcn_deploy.diagnosis.tensors import OnnxSource, tensor_source
from fcn_deploy.diagnosis.tolerances import TOLERANCES, Tolerances, limits_of
from fcn_deploy.errors import GraphError
from fcn_deploy.metrics.agreement import AgreementCounts
from fcn_deploy.metrics.bootstrap import iou_change
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.metrics.scores import scores
from fcn_deploy.system.arguments import Positive, Threads, checked
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.decode import Count

IMAGES = 32  # at most, where neither the number nor a limit is given


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
    max_miou_drop: float | None = None,
    max_boundary_drop: float | None = None,
    max_class_drop: Mapping[str, float] | None = None,
    progress: Progress = SILENT,
) -> Diagnosis:
    """Find the first stage of a deployment that differs from the one before it, and its first layer that does.

    Args:
        stages: files in the order in which they were made: "demo" or a checkpoint, then .onnx files, then an engine.
            The first is the reference; if it is an FP32 .onnx file, PyTorch runs it as well.
        data: images, as for `evaluate`, with or without labels, 32 at most, or all where there is a limit;
            `DataOptions` for other numbers. None generates them.
        model_name: the network that a checkpoint holds, where its keys leave a choice.
        layer_images: number of these images that are run layer by layer.
        radius: half width of the boundary band in pixels.
        threads: CPU threads; None leaves the number to the runner.
        tolerances: by precision, beyond which a stage diverges; `diagnosis.tolerances.with_changes` replaces some.
        max_miou_drop: points of mIoU that a stage may lose against the first. Where there is a limit, a stage is at
            fault if it breaks one, and what is beyond `tolerances` is mentioned.
        max_boundary_drop: points of mIoU near label changes.
        max_class_drop: points of the IoU of single classes, by name.

    Returns:
        Every step with its labels, mIoU and layers against those before; `first_divergence` is None if all is well. A
        stage that this machine cannot run is skipped with its reason.

    Raises:
        CheckpointError, GraphError, EngineError: a file cannot be read, or there is nothing to compare.
        DataError: the data set cannot be used, or not with the model's classes.
        RunnerError: fewer than two stages run here.
        UnknownNameError: a limit is on a class that is not there.

    Example:
        >>> import fcn_deploy
        >>> found = fcn_deploy.diagnose(["demo", "demo.onnx"], "synthetic:2:0:48x64", layer_images=1)
        >>> [step.name for step in found.steps], found.first_divergence
        (['demo', 'demo.onnx'], None)
    """
    budget = AccuracyBudget(max_miou_drop, max_boundary_drop, dict(max_class_drop or {}))
    options = DataOptions.of(data, limit=None if budget else IMAGES)
    chained = open_chain([os.fspath(stage) for stage in stages], model=model_name, progress=progress)
    card = chained[0].card
    dataset = open_or_generate(card, options, progress)
    classes = classes_of(card, dataset)
    if not classes:
        raise GraphError(f"{chained[0].source} names no classes; give them (--classes)")
    budget.check(classes)
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
    steps = _compare_stages(chained, labels, Rules(tolerances, budget, classes), progress)
    return Diagnosis(
        steps,
        dataset.name,
        len(labels.names),
        len(labels.stages[0].counts),
        len(labels.kept),
        radius,
        classes,
        tolerances,
        tuple(limit.words for limit in budget.limits),
    )


def _compare_stages(
    stages: Sequence[Stage], labels: ChainLabels, rules: Rules, progress: Progress
) -> tuple[StageComparison, ...]:
    ran = {entry.stage.name: index for index, entry in enumerate(labels.stages)}
    steps: list[StageComparison] = []
    for stage in stages:
        if stage.status != "ok":
            steps.append(StageComparison(stage.name, stage.kind, stage.claim, stage.status, stage.reason))
        else:
            diverged = {step.name for step in steps if step.reasons or step.differences}
            steps.append(_step(labels, ran[stage.name], diverged, rules, progress))
            gc.collect()  # nodes and values refer to each other; without this they overlap
    return tuple(steps)


def _step(
    labels: ChainLabels, index: int, diverged: Collection[str], rules: Rules, progress: Progress
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
    layers, no_layers = _layers(stage, parent, labels.kept, rules.tolerances, progress)
    rounding = stage.claim == "fp32" and only_rounding(own.first.largest_margin, labels.largest_logit)
    labelled = 0 if rules.budget else len(own.counts)
    found = label_reasons(changes, rules.tolerances[limits_of(stage.claim)], labelled, rounding=rounding)
    found += layer_reasons(layers, "" if parent is None else parent.name)
    judged = judge_stage(first, own, rules)
    broken = [each.sentence for each in judged if each.verdict == "broken"]
    return replace(
        alone,
        before=changes[0],
        first=changes[1],
        layers=layers,
        layers_against=parent.name if layers and parent is not None else None,
        no_layers=no_layers,
        judged=judged,
        reasons=tuple(broken if rules.budget else found),
        differences=tuple(found) if rules.budget else (),
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
