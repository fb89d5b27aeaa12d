"""Compute how accurate a row's labels are: by region, by class against the reference, and on the worst frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fcn_deploy.benchmark.record.measurement import Accuracy, Frame
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.metrics.bootstrap import Interval, IouChange, iou_change
from fcn_deploy.metrics.scores import Scores, scores

REGIONS = ("all", "boundary", "interior")


@dataclass(frozen=True)
class ClassChange:
    """IoU of one class, the reference's and the row's, in per cent (nan: the class is nowhere), and the points gained.

    Attributes:
        change: its interval is over paired images; without one where the record holds no counts of each image.
    """

    name: str
    before: float
    after: float
    change: Interval


def regions(accuracy: Accuracy) -> dict[str, Scores]:
    """Return the four metrics everywhere, near label changes of the ground truth, and away from them."""
    everywhere, near = (np.array(counts, np.int64) for counts in (accuracy.overall, accuracy.boundary))
    parts = zip(REGIONS, (everywhere, near, everywhere - near), strict=True)
    return {name: scores(counts) for name, counts in parts}


def mean_change(before: Accuracy, after: Accuracy) -> Interval:
    """Return points of mean IoU gained; without an interval unless both sides hold the counts of each image."""
    return in_points(_iou_change(before, after).mean)


def class_changes(record: Record, row: Row) -> tuple[ClassChange, ...]:
    """Compare each class with the reference; () without a ground truth, and for the reference itself."""
    reference, own = record.reference_accuracy(None), row.own.accuracy
    if reference is None or own is None or is_reference(record, row):
        return ()
    before, after = (regions(side)["all"].per_class_iou for side in (reference, own))
    changes = _iou_change(reference, own).classes
    return tuple(
        ClassChange(name, 100 * old, 100 * new, in_points(change))
        for name, old, new, change in zip(record.data.classes, before, after, changes, strict=True)
    )


def is_reference(record: Record, row: Row) -> bool:
    """Whether the row is what the others are compared with."""
    return record.reference is not None and row.runner == record.reference.runner


def most_changed(row: Row, count: int = 5) -> tuple[Frame, ...]:
    """Return the frames with the least agreement first; those without a differing pixel are left out."""
    changed = [frame for frame in row.own.frames if frame.agreed < frame.pixels]
    return tuple(sorted(changed, key=lambda frame: frame.agreed / frame.pixels)[:count])


def in_points(change: Interval) -> Interval:
    """Convert an interval of fractions to points."""
    low, high = (None if end is None else 100 * end for end in (change.low, change.high))
    return Interval(100 * change.value, low, high)


@lru_cache(maxsize=32)  # tables, plots and verdicts ask for the same pair; 2000 images of 21 classes take half a second
def _iou_change(before: Accuracy, after: Accuracy) -> IouChange:
    paired = len(before.by_image) > 1 and len(before.by_image) == len(after.by_image)
    # A single stack has no interval: what is known without the counts of each image.
    stacks = [np.array(side.by_image if paired else (side.overall,), np.int64) for side in (before, after)]
    return iou_change(*stacks)
