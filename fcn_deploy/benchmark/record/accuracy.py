"""Turn the counts of a record into scores, and into arrays that a budget is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from fcn_deploy.benchmark.record.measurement import Accuracy
from fcn_deploy.metrics.boundary_iou import BoundaryIou, boundary_iou
from fcn_deploy.metrics.budget import ImageCounts
from fcn_deploy.metrics.scores import Scores, scores

REGIONS = ("all", "boundary", "interior")


@lru_cache(maxsize=32)  # one row is judged by the gate, the answer and the page
def image_counts(accuracy: Accuracy) -> ImageCounts:
    """Return the counts of each image, or their sum where the record does not hold them."""
    overall, boundary = (
        np.array(each or (total,), np.int64)
        for each, total in (
            (accuracy.by_image, accuracy.overall),
            (accuracy.boundary_by_image, accuracy.boundary),
        )
    )
    return ImageCounts(overall, boundary, accuracy.images)


def regions(accuracy: Accuracy) -> dict[str, Scores]:
    """Return the metrics everywhere, near label changes of the ground truth, and away from them."""
    everywhere, near = (np.array(counts, np.int64) for counts in (accuracy.overall, accuracy.boundary))
    parts = zip(REGIONS, (everywhere, near, everywhere - near), strict=True)
    return {name: scores(counts) for name, counts in parts}


def boundary_iou_of(accuracy: Accuracy) -> BoundaryIou | None:
    """Return Boundary IoU as Cheng et al. define it; None where the record does not hold its counts."""
    return boundary_iou(np.array(accuracy.boundary_iou, np.int64)) if accuracy.boundary_iou else None


def class_scores(classes: Sequence[str], accuracy: Accuracy | None) -> list[dict[str, str | float]] | None:
    """Return the scores of each class in per cent, in the order of the labels; None without a ground truth."""
    if accuracy is None:
        return None
    found, near_contours = regions(accuracy)["all"], boundary_iou_of(accuracy)
    columns = {
        "iou": found.per_class_iou,
        "dice": found.per_class_dice,
        "precision": found.per_class_precision,
        "recall": found.per_class_recall,
        **({} if near_contours is None else {"boundary_iou": near_contours.per_class}),
    }
    return [
        {"class": name, **{key: 100 * values[label] for key, values in columns.items()}}
        for label, name in enumerate(classes)
    ]
