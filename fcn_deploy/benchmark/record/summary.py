"""Compute the figures of a measurement from its raw samples and counts, and what changed against the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.benchmark.record.accuracy import boundary_iou_of, class_scores, regions
from fcn_deploy.benchmark.record.measurement import Accuracy, Agreed, Frame, MarginAgreed, Measurement
from fcn_deploy.benchmark.record.series import reference_series, series
from fcn_deploy.benchmark.record.stability import stability
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.metrics.bootstrap import Interval, IouChange, iou_change
from fcn_deploy.runners.registry import REFERENCE, RUNNERS


@dataclass(frozen=True)
class Speed:
    """Milliseconds of one batch, upload to download; percentiles interpolate between samples.

    Attributes:
        images_per_s: images over the summed time of all rounds.
        upload_ms, execute_ms, download_ms: medians of the steps, which need not add up to the median of the sum.
        times_reference: median over rounds of the reference's time divided by this one's; None without its row.
        interval_ms: 95 % interval of the median; None if no image size was met often enough to say.
        drift: median of the second half of the rounds over that of the first, minus 1.
        instability: why these times settle nothing, in words; () if they may.
        saturated_images_per_s: with the next batch always at hand, several under way where the runner streams.
    """

    rounds: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    images_per_s: float
    upload_ms: float
    execute_ms: float
    download_ms: float
    times_reference: float | None
    drift: float
    interval_ms: tuple[float, float] | None = None
    instability: tuple[str, ...] = ()
    saturated_images_per_s: float | None = None

    @property
    def unstable(self) -> bool:
        return bool(self.instability)


@dataclass(frozen=True)
class Fidelity:
    """Accuracies in per cent, differences to the reference in points, agreement as counts; None: not measured.

    Attributes:
        pixel_accuracy, mean_accuracy, frequency_weighted_iou: the other three metrics of the FCN paper.
        mean_dice, mean_precision: over the classes too; mean recall is `mean_accuracy`.
        boundary_iou: mean Boundary IoU of Cheng et al., which is not `boundary_mean_iou`.
        delta_points, boundary_delta_points: mean IoU less the reference's.
        delta_interval: 95 % interval of `delta_points` over paired images, where the record holds the counts of each.
        worst_class: class that lost the most IoU against the reference, and how much in points (negative).
    """

    mean_iou: float | None = None
    pixel_accuracy: float | None = None
    mean_accuracy: float | None = None
    frequency_weighted_iou: float | None = None
    mean_dice: float | None = None
    mean_precision: float | None = None
    boundary_iou: float | None = None
    delta_points: float | None = None
    boundary_mean_iou: float | None = None
    boundary_delta_points: float | None = None
    interior_mean_iou: float | None = None
    delta_interval: tuple[float, float] | None = None
    worst_class: tuple[str, float] | None = None
    agreement: Agreed | None = None
    agreement_boundary: Agreed | None = None
    agreement_lowest_margin: MarginAgreed | None = None


def speed(record: Record, measurement: Measurement) -> Speed | None:
    """Return the figures of a measurement's times; None if it was not timed."""
    times = series(record, measurement)
    if times is None:
        return None
    total = times.total_ms
    median, p90, p99 = np.percentile(total, (50, 90, 99))
    upload, execute, download = np.median(times.steps, axis=1) / 1e6
    found, busy = stability(total, times.shape_index), measurement.saturated
    return Speed(
        rounds=len(total),
        median_ms=float(median),
        p90_ms=float(p90),
        p99_ms=float(p99),
        images_per_s=float(1000 * sum(shape[0] for shape in times.shapes) / total.sum()),
        upload_ms=float(upload),
        execute_ms=float(execute),
        download_ms=float(download),
        times_reference=_times_reference(record, measurement, total),
        drift=0.0 if found is None else found.drift,
        interval_ms=None if found is None else (float(found.low * median), float(found.high * median)),
        instability=() if found is None else found.reasons,
        saturated_images_per_s=None if busy is None or busy.seconds <= 0 else busy.images / busy.seconds,
    )


def fidelity(record: Record, measurement: Measurement) -> Fidelity:
    """Return the figures of a measurement's accuracy and agreement."""
    agreement, accuracy = measurement.agreement, measurement.accuracy
    found = Fidelity()
    if agreement is not None:
        lowest = next(iter(agreement.by_margin), None)
        found = Fidelity(
            agreement=agreement.overall, agreement_boundary=agreement.boundary, agreement_lowest_margin=lowest
        )
    if accuracy is None:
        return found
    own, near_contours = regions(accuracy), boundary_iou_of(accuracy)
    found = replace(
        found,
        mean_iou=100 * own["all"].mean_iou,
        pixel_accuracy=100 * own["all"].pixel_accuracy,
        mean_accuracy=100 * own["all"].mean_accuracy,
        frequency_weighted_iou=100 * own["all"].frequency_weighted_iou,
        mean_dice=100 * own["all"].mean_dice,
        mean_precision=100 * own["all"].mean_precision,
        boundary_iou=None if near_contours is None else 100 * near_contours.mean,
        boundary_mean_iou=100 * own["boundary"].mean_iou,
        interior_mean_iou=100 * own["interior"].mean_iou,
    )
    reference = record.reference_accuracy(measurement.shape)
    if reference is None:
        return found
    other, change = regions(reference), mean_change(reference, accuracy)
    return replace(
        found,
        delta_points=change.value,
        delta_interval=None if change.low is None or change.high is None else (change.low, change.high),
        boundary_delta_points=100 * (own["boundary"].mean_iou - other["boundary"].mean_iou),
        worst_class=_worst_class(own["all"].per_class_iou, other["all"].per_class_iou, record.data.classes),
    )


def summarise(record: Record, measurement: Measurement) -> dict[str, Any]:
    """Return speed, fidelity and each class's scores as plain data; a figure that is not a number becomes None."""
    timed = speed(record, measurement)
    figures = asdict(fidelity(record, measurement))
    figures["classes"] = class_scores(record.data.classes, measurement.accuracy)
    figures |= {} if timed is None else asdict(timed) | {"unstable": timed.unstable}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in figures.items()}


def _times_reference(record: Record, measurement: Measurement, total: NDArray[np.float64]) -> float | None:
    """Compare round by round, so that what slowed one round slows both sides of its ratio."""
    times = reference_series(record, measurement.shape)
    if times is None or len(times.shapes) != len(total):
        return None
    return float(np.median(times.total_ms / total))


def _worst_class(own: Sequence[float], other: Sequence[float], classes: Sequence[str]) -> tuple[str, float] | None:
    changes = [(100 * (a - b), index) for index, (a, b) in enumerate(zip(own, other, strict=True)) if a == a and b == b]
    loss, index = min(changes, default=(0.0, 0))
    return (classes[index], loss) if loss < 0 else None


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
    return record.reference is not None and row.name == record.reference.name


def reference_words(record: Record) -> str:
    """Return "PyTorch" where it is the reference of a single file, else the reference's name."""
    found = record.reference
    if found is None or (not found.file and found.runner.partition(":")[0] == REFERENCE):
        return RUNNERS[REFERENCE].title
    return found.name


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
