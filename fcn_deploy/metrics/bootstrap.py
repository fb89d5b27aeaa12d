"""Estimate how far a figure would move on other images of the kind: percentile intervals over resampled images.

Images are drawn again with replacement, as many as there are, and the figure is worked out again for each draw; the
interval holds the middle of the results. Two networks are compared on the same draws, so what makes an image hard for
both cancels. Efron, Tibshirani: "An Introduction to the Bootstrap", Chapman & Hall, 1993, chapters 13 (percentile
intervals) and 8 (the pair as the unit that is drawn). Few images give too narrow an interval; it is widened by
`student.small_sample_factor`: 10 % for 14 images, 1.7 % for 101.

Pixels of one image depend on each other; images are the unit. Frames of one video are not independent either, and then
the interval is too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import ShapeError
from fcn_deploy.metrics.scores import Counts, ratio
from fcn_deploy.metrics.student import small_sample_factor

DRAWS = 1000
LEVEL = 0.95
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure and where it may lie.

    Attributes:
        value: on the images as they are; nan where there was nothing to score.
        low, high: ends of the interval; None if there are fewer than two images or draws that could be scored.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class IouChange:
    """IoU of one network less that of another, as fractions; classes by index."""

    mean: Interval
    classes: tuple[Interval, ...]


@lru_cache(maxsize=2)  # a budget is judged limit by limit on the same draws
def multiplicities(images: int, draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """Return int64[draws, images], read-only: how often each draw holds each image; rows add up to `images`."""
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(images, np.full(images, 1 / images), size=draws).astype(np.int64)
    drawn.flags.writeable = False
    return drawn


def interval(value: float, drawn: Values, level: float = LEVEL) -> Interval:
    """Return the percentile interval of float64[draws]; draws that are nan (nothing to score) are left out."""
    scored = drawn[~np.isnan(drawn)]
    if len(scored) < 2 or np.isnan(value):
        return Interval(value)
    low, high = np.quantile(scored, ((1 - level) / 2, (1 + level) / 2))
    return Interval(value, float(low), float(high))


def iou_change(before: Counts, after: Counts, *, draws: int = DRAWS, seed: int = 0, level: float = LEVEL) -> IouChange:
    """Return the change of IoU from one network to another on the same images, with paired percentile intervals.

    Args:
        before, after: int64[I, C, C], one confusion matrix an image (row = true class), images in the same order.
        seed: the same seed gives the same draws.
        level: share of the draws that an interval holds.

    Returns:
        Changes as fractions. A class that is in neither truth nor prediction has no IoU (nan) and is left out of the
        mean, in each draw again, as in `scores`. With one image there are no intervals.

    Raises:
        ShapeError: not two stacks of square matrices of one shape, or no image.
    """
    if before.shape != after.shape or before.ndim != 3 or before.shape[1] != before.shape[2] or not len(before):
        raise ShapeError(f"counts are {before.shape} and {after.shape}; expected two stacks [I, C, C] of one shape")
    mean, classes = _differences(_parts(before.sum(axis=0)[None]), _parts(after.sum(axis=0)[None]))
    if len(before) < 2:
        return IouChange(Interval(float(mean[0])), tuple(Interval(float(value)) for value in classes[0]))
    weights = multiplicities(len(before), draws, seed)
    drawn_mean, drawn_classes = _differences(_drawn(before, weights), _drawn(after, weights))
    factor = small_sample_factor(len(before))
    return IouChange(
        _widened(interval(float(mean[0]), drawn_mean, level), factor),
        tuple(
            _widened(interval(float(value), drawn_classes[:, index], level), factor)
            for index, value in enumerate(classes[0])
        ),
    )


def _widened(found: Interval, factor: float) -> Interval:
    """Move both ends away from the value."""
    if found.low is None or found.high is None:
        return found
    low, high = (found.value + factor * (end - found.value) for end in (found.low, found.high))
    return Interval(found.value, low, high)


def _drawn(counts: Counts, weights: NDArray[np.int64]) -> Values:
    """Return float64[draws, 2, C]: intersections and unions summed over each draw's images; exact below 2^53 pixels."""
    parts = _parts(counts)
    summed = weights.astype(np.float64) @ parts.reshape(len(parts), -1)
    return np.asarray(summed.reshape(len(weights), *parts.shape[1:]))


def _parts(counts: Counts) -> Values:
    """Return int64[I, C, C] -> float64[I, 2, C], intersections and unions, which add over images as the counts do."""
    correct = np.diagonal(counts, axis1=1, axis2=2)
    union = counts.sum(axis=2) + counts.sum(axis=1) - correct
    return np.stack([correct, union], axis=1).astype(np.float64)


def _differences(before: Values, after: Values) -> tuple[Values, Values]:
    """Change of the mean IoU, float64[draws], and of each class's, float64[draws, C], from [draws, 2, C]."""
    ious = [ratio(parts[:, 0], parts[:, 1]) for parts in (before, after)]
    means = [_mean_over_present(iou) for iou in ious]
    return means[1] - means[0], ious[1] - ious[0]


def _mean_over_present(iou: Values) -> Values:
    present = ~np.isnan(iou)
    return ratio(np.where(present, iou, 0).sum(axis=1), present.sum(axis=1))
