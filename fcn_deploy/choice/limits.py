"""Define what a candidate may lose and how long it may take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.choice.bounds import best_change
from fcn_deploy.choice.scoring import FrameCounts
from fcn_deploy.errors import UnknownNameError
from fcn_deploy.metrics.scores import Counts, ratio, scores


@dataclass(frozen=True)
class ChoiceLimits:
    """Points of loss that are allowed, against the reference on the same frames; None sets no limit.

    Attributes:
        miou, boundary: of mean IoU, on all pixels and near label changes.
        classes: of single classes, by name.
        ms: milliseconds of the median.
    """

    miou: float | None = None
    boundary: float | None = None
    classes: Mapping[str, float] = field(default_factory=dict)
    ms: float | None = None


@dataclass(frozen=True)
class Loss:
    """One limit on accuracy: a figure, and how many points of it may be lost.

    Attributes:
        words: the figure's name, "mIoU", "boundary mIoU" or a class.
        index: the class; None for the mean.
        present: bool[C], classes of the ground truth.
    """

    words: str
    allowed: float
    present: NDArray[np.bool_]
    index: int | None = None
    boundary: bool = False

    def change(self, before: FrameCounts, after: FrameCounts) -> float:
        """Return points gained (below 0: lost) on all these frames; nan if there is nothing to score."""
        one, two = (scores(self._part(counts).sum(axis=0)) for counts in (before, after))
        if self.index is None:
            return 100 * (two.mean_iou - one.mean_iou)
        return 100 * (two.per_class_iou[self.index] - one.per_class_iou[self.index])

    def best(self, before: FrameCounts, after: FrameCounts, frames: int) -> float:
        """Return the points that can be gained on all `frames` at best."""
        if len(after) >= frames:
            return self.change(before, after)
        return best_change(self._part(before), self._part(after), frames, self._partial_change)

    def _part(self, counts: FrameCounts) -> Counts:
        return counts.boundary if self.boundary else counts.overall

    def _partial_change(self, before: Counts, after: Counts) -> float:
        """Return the change on some frames; a class that they do not show counts as unchanged."""
        change = _ious(after) - _ious(before)
        if self.index is not None:
            return 100 * float(change[self.index])
        return 100 * float(np.nansum(change)) / int(self.present.sum())


def losses(limits: ChoiceLimits, classes: Sequence[str], present: NDArray[np.bool_]) -> tuple[Loss, ...]:
    """Return the limits on accuracy; UnknownNameError for a class that the model does not have."""
    found = []
    if limits.miou is not None:
        found.append(Loss("mIoU", limits.miou, present))
    if limits.boundary is not None:
        found.append(Loss("boundary mIoU", limits.boundary, present, boundary=True))
    for name, allowed in limits.classes.items():
        if name not in classes:
            raise UnknownNameError.of("class", name, classes)
        found.append(Loss(name, allowed, present, list(classes).index(name)))
    return tuple(found)


def broken(all_losses: Sequence[Loss], before: FrameCounts, after: FrameCounts, frames: int) -> str:
    """Say which limit is surely exceeded on all `frames`, as far as the first ones show; "" if none is."""
    for loss in all_losses:
        best = loss.best(before, after, frames)
        if best < -loss.allowed or (len(after) >= frames and math.isnan(best)):
            change = loss.change(before, after)
            seen = f"on all {frames} frames" if len(after) >= frames else f"after {len(after)} of {frames} frames"
            most = "" if len(after) >= frames else f", {best:+.2f} at best"
            return f"{loss.words} {change:+.2f} points {seen}{most}; allowed -{loss.allowed:g}"
    return ""


def _ious(counts: Counts) -> NDArray[np.float64]:
    correct = np.diag(counts)
    return ratio(correct, counts.sum(axis=0) + counts.sum(axis=1) - correct)
