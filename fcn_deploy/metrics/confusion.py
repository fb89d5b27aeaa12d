"""Count the confusion matrix from which every accuracy is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import ShapeError

Counts = NDArray[np.int64]
Labels = NDArray[Any]  # of any integer dtype


def confusion_matrix(target: Labels, pred: Labels, num_classes: int, ignore_index: int = 255) -> Counts:
    """Count pixels by (true class, predicted class).

    Args:
        target: integer[N, H, W] (or any shape) labels; pixels equal to `ignore_index` are not counted.
        pred: integer labels of the same shape, in [0, C) wherever the target is counted.
        num_classes: C, background included (21 for Pascal VOC).

    Returns:
        int64[C, C], row = true class, column = predicted class. Matrices add over images; mIoUs do not, so
        accumulate counts and divide once.

    Raises:
        ShapeError: the shapes differ, or the labels are not integers.
        ValueError: a counted label lies outside [0, C).
    """
    check_labels(target, pred)
    if target.dtype == np.uint8 and num_classes <= 255:
        return _count_uint8(target, pred, num_classes, ignore_index)
    counted = target != ignore_index
    return _count(target[counted], pred[counted], num_classes)


def check_labels(target: Labels, pred: Labels) -> None:
    """Raise ShapeError unless both are integer arrays of one shape."""
    if target.shape != pred.shape:
        raise ShapeError(f"target is {_shape(target)} and prediction {_shape(pred)}; expected the same shape")
    for name, labels in (("target", target), ("prediction", pred)):
        if labels.dtype.kind not in "iub":
            raise ShapeError(f"{name} is {labels.dtype}; expected integer labels (argmax of the logits)")


def _count_uint8(target: Labels, pred: Labels, num_classes: int, ignore_index: int) -> Counts:
    """Return all 256 target values get a row, so unlabelled pixels need no pass of their own over the image."""
    if pred.size and (int(pred.max()) >= num_classes or int(pred.min()) < 0):
        counted = target != ignore_index
        _check_range("prediction", pred[counted], num_classes)
        pred = np.where(counted, pred, 0)
    codes = np.multiply(target, num_classes, dtype=np.uint16)  # at most 255 x 255 + 254 = 65279
    codes += pred.astype(np.uint8, copy=False)
    rows = np.bincount(codes.ravel(), minlength=256 * num_classes).reshape(256, num_classes)
    if 0 <= ignore_index <= 255:
        rows[ignore_index] = 0
    if rows[num_classes:].any():
        _check_range("target", target[target != ignore_index], num_classes)
    return rows[:num_classes].astype(np.int64)


def _count(target: Labels, pred: Labels, num_classes: int) -> Counts:
    _check_range("target", target, num_classes)
    _check_range("prediction", pred, num_classes)
    codes = target.astype(np.int64) * num_classes + pred.astype(np.int64)
    counts = np.bincount(codes, minlength=num_classes**2).reshape(num_classes, num_classes)
    return counts.astype(np.int64, copy=False)


def _check_range(name: str, labels: Labels, num_classes: int) -> None:
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        raise ValueError(
            f"{name} has label {int(labels[outside][0])} in {int(outside.sum())} counted pixels; "
            f"expected 0 to {num_classes - 1}"
        )


def _shape(labels: Labels) -> str:
    return " x ".join(str(side) for side in labels.shape) or "a scalar"
