"""Compare the labels of all stages on the same images: with the stage before, with the first, with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ignore_index_for
from fcn_deploy.data.dataset import Dataset, OnError, iterate
from fcn_deploy.data.sample import Sample
from fcn_deploy.diagnosis.no_numbers import where_numbers_end
from fcn_deploy.diagnosis.stages import Stage
from fcn_deploy.errors import FcnDeployError, RunnerError, ScoreError
from fcn_deploy.metrics.agreement import AgreementCounts, logit_margin
from fcn_deploy.metrics.boundary import boundary_mask
from fcn_deploy.metrics.budget import ImageCounts
from fcn_deploy.metrics.scores import Counts, Labels, confusion_matrix
from fcn_deploy.runners.checks.labels import check_labels
from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.vocabulary import INPUT, LABELS, LOGITS


@dataclass
class StageLabels:
    """What the labels of one stage came to.

    Attributes:
        before, first: agreement with the stage before it that ran, and with the first; of the first itself, empty.
        counts, near: int64[C, C] of each labelled image: of every labelled pixel, and of those near label changes of
            the truth.
    """

    stage: Stage
    before: AgreementCounts
    first: AgreementCounts
    counts: list[Counts] = field(default_factory=list)
    near: list[Counts] = field(default_factory=list)

    @property
    def image_counts(self) -> ImageCounts:
        """What a budget is judged by; there must be a labelled image."""
        return ImageCounts(np.stack(self.counts), np.stack(self.near), len(self.counts))


@dataclass
class ChainLabels:
    """Every stage that ran, and what the first one's logits were like.

    Attributes:
        images: how many were run; names: of them.
        kept: uint8[1, H, W, 3], some of the images, spread over all.
        largest_logit: of the first stage, None if it gives no logits.
    """

    stages: list[StageLabels]
    names: list[str] = field(default_factory=list)
    kept: list[NDArray[np.uint8]] = field(default_factory=list)
    largest_logit: float | None = None


def run_chain(
    stages: Sequence[Stage],
    dataset: Dataset,
    *,
    num_classes: int,
    keep: int,
    radius: int = 3,
    on_error: OnError = "raise",
    progress: Progress = SILENT,
) -> ChainLabels:
    """Run every image through every stage that has a runner.

    A stage that fails is marked so, and the images are run again without it, since the next one's neighbour changed.

    Args:
        keep: how many images to hand back.

    Raises:
        DataError: from the data set.
        RunnerError: fewer than two stages ran.
    """
    while True:
        running = [stage for stage in stages if stage.status == "ok" and stage.runner is not None]
        if len(running) < 2:
            reasons = "; ".join(f"{stage.name}: {stage.reason}" for stage in stages if stage.status != "ok")
            raise RunnerError(f"{len(running)} of {len(stages)} stages runs here; nothing can be compared ({reasons})")
        try:
            return _pass(running, dataset, num_classes, keep, radius, on_error, progress)
        except _StageError:
            continue


class _StageError(Exception):
    """A stage failed, and is marked so."""


def _pass(
    stages: Sequence[Stage],
    dataset: Dataset,
    num_classes: int,
    keep: int,
    radius: int,
    on_error: OnError,
    progress: Progress,
) -> ChainLabels:
    found = ChainLabels([StageLabels(stage, AgreementCounts(radius), AgreementCounts(radius)) for stage in stages])
    step = max(1, len(dataset) // keep)
    samples = iterate(dataset, on_error=on_error, progress=progress)
    for index, sample in enumerate(track(progress, "comparing labels", samples, len(dataset))):
        _count(found, sample, num_classes)
        found.names.append(sample.name)
        if index % step == 0 and len(found.kept) < keep:
            found.kept.append(sample.image[None])
    return found


def _count(found: ChainLabels, sample: Sample, num_classes: int) -> None:
    first = before = margins = None
    near = None if sample.label is None else boundary_mask(sample.label, found.stages[0].first.radius)
    for entry in found.stages:
        labels, logits = _infer(entry.stage, sample, num_classes)
        if first is None:
            if logits is not None:
                margins = logit_margin(logits)
                found.largest_logit = max(found.largest_logit or 0.0, float(np.abs(logits).max()))
            first = labels
        else:
            assert before is not None
            entry.before.update(before, labels)
            entry.first.update(first, labels, margins)
        if sample.label is not None and near is not None:
            counted, ignored = sample.counted(labels)[0], ignore_index_for(num_classes)
            entry.counts.append(confusion_matrix(sample.label, counted, num_classes, ignored))
            entry.near.append(confusion_matrix(sample.label[near], counted[near], num_classes, ignored))
        before = labels


def _infer(stage: Stage, sample: Sample, num_classes: int) -> tuple[Labels, NDArray[np.float32] | None]:
    assert stage.runner is not None
    try:
        outputs = stage.runner.infer({INPUT: sample.image[None]})
        check_labels(stage.name, outputs[LABELS], num_classes)
    except FcnDeployError as error:
        place = where_numbers_end(stage, sample.image[None]) if isinstance(error, ScoreError) else ""
        stage.status, stage.reason = "failed", "; ".join(filter(None, (str(error), place)))
        raise _StageError from error
    return outputs[LABELS], outputs.get(LOGITS)
