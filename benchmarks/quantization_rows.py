"""The figures of one file: accuracy against FP32's, against another tool's, and its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.metrics.bootstrap import Interval, iou_change
from fcn_deploy.metrics.scores import Counts, scores
from fcn_deploy.vocabulary import Target

Labels = list[NDArray[np.uint8]]


@dataclass(frozen=True)
class Scored:
    """One file on the validation set.

    Attributes:
        overall, boundary: int64[I, C, C], one confusion matrix an image.
        labels: uint8[1, H, W] of each image.
    """

    overall: Counts
    boundary: Counts
    labels: Labels


def row(name: str, runner: str, path: Path, found: Scored, fp32: Scored, classes: Sequence[str]) -> dict[str, Any]:
    """Return figures in points and their changes against FP32, the counts behind them, and the file's size."""
    overall, boundary = found.overall.sum(axis=0), found.boundary.sum(axis=0)
    change = iou_change(fp32.overall, found.overall)
    worst = min(range(len(classes)), key=lambda index: np.nan_to_num(change.classes[index].value, nan=np.inf))
    same = sum(int(np.count_nonzero(a == b)) for a, b in zip(found.labels, fp32.labels, strict=True))
    return {
        "name": name,
        "runner": runner,
        "mean_iou": 100 * scores(overall).mean_iou,
        "change": _points(change.mean),
        "boundary_mean_iou": 100 * scores(boundary).mean_iou,
        "boundary_change": _points(iou_change(fp32.boundary, found.boundary).mean),
        "worst_class": {"name": classes[worst], "change": _points(change.classes[worst])},
        "same_labels": [same, sum(labels.size for labels in fp32.labels)],
        "bytes": path.stat().st_size,
        "counts": overall.tolist(),
        "boundary_counts": boundary.tolist(),
    }


def against(ours: Mapping[Target, Scored], theirs: Scored) -> dict[Target, Any]:
    """Return target -> points that our INT8 has more than another tool's on the same images, overall and at boundaries.

    A paired bootstrap of the two files, not the difference of two changes: what both lose cancels.
    """
    return {
        target: {
            "change": _points(iou_change(theirs.overall, found.overall).mean),
            "boundary_change": _points(iou_change(theirs.boundary, found.boundary).mean),
        }
        for target, found in ours.items()
    }


def _points(found: Interval) -> list[float | None]:
    return [None if end is None else 100 * end for end in (found.value, found.low, found.high)]
