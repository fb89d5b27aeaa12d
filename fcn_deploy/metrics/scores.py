"""Count a confusion matrix and compute from it the four accuracies of the FCN paper, Dice, precision and recall.

With n_ij pixels of class i predicted as j, t_i = sum_j n_ij and n_cl classes (section 5, "Metrics"):
pixel accuracy = sum_i n_ii / sum_i t_i; mean accuracy = (1 / n_cl) sum_i n_ii / t_i;
IU_i = n_ii / (t_i + sum_j n_ji - n_ii); mean IU = (1 / n_cl) sum_i IU_i;
frequency weighted IU = sum_i t_i IU_i / sum_k t_k.

With p_i = sum_j n_ji pixels predicted as class i: precision_i = n_ii / p_i, recall_i = n_ii / t_i (van Rijsbergen,
"Information Retrieval", 1979, chapter 7), and Dice_i = F1_i = 2 n_ii / (t_i + p_i), their harmonic mean (Dice,
"Measures of the amount of ecologic association between species", Ecology 1945). Mean recall is the mean accuracy.

Absent classes: a class with neither true nor predicted pixels has no IoU (nan) and is left out of the mean. One that
is predicted but never true has IoU 0 and is in the mean; Dice likewise. Mean accuracy is over the classes with true
pixels, mean precision over those with predicted pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fcn_deploy.errors import ShapeError
from fcn_deploy.vocabulary import shape_text

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
    target, pred = target[counted], pred[counted]
    _check_range("target", target, num_classes)
    _check_range("prediction", pred, num_classes)
    codes = target.astype(np.int64) * num_classes + pred.astype(np.int64)
    counts = np.bincount(codes, minlength=num_classes**2).reshape(num_classes, num_classes)
    return counts.astype(np.int64, copy=False)


def check_labels(target: Labels, pred: Labels) -> None:
    """Raise ShapeError unless both are integer arrays of one shape."""
    if target.shape != pred.shape:
        shapes = [shape_text(labels.shape) or "a scalar" for labels in (target, pred)]
        raise ShapeError(f"target is {shapes[0]} and prediction {shapes[1]}; expected the same shape")
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


def _check_range(name: str, labels: Labels, num_classes: int) -> None:
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        raise ValueError(
            f"{name} has label {int(labels[outside][0])} in {int(outside.sum())} counted pixels; "
            f"expected 0 to {num_classes - 1}"
        )


@dataclass(frozen=True)
class Scores:
    """Fractions 0..1; nan where nothing was there to be scored.

    Attributes:
        mean_accuracy: also called mean recall.
        mean_dice: also called mean F1.
        per_class_iou, per_class_dice: nan for a class that is neither in the truth nor in the prediction.
        per_class_precision, per_class_recall: nan for a class without predicted, without true pixels.
        pixels: how many pixels were counted.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    mean_dice: float
    mean_precision: float
    per_class_iou: tuple[float, ...]
    per_class_dice: tuple[float, ...]
    per_class_precision: tuple[float, ...]
    per_class_recall: tuple[float, ...]
    pixels: int = 0


def scores(counts: Counts) -> Scores:
    """Return the metrics of int64[C, C] counts, row = true class, column = predicted class."""
    correct = np.diag(counts).astype(np.float64)
    true, predicted = counts.sum(axis=1), counts.sum(axis=0)
    iou = ratio(correct, true + predicted - correct)
    dice, precision, recall = ratio(2 * correct, true + predicted), ratio(correct, predicted), ratio(correct, true)
    frequency = ratio(true, true.sum())
    return Scores(
        pixel_accuracy=float(ratio(correct.sum(), true.sum())),
        mean_accuracy=mean_of_present(recall),
        mean_iou=mean_of_present(iou),
        frequency_weighted_iou=float(np.nansum(frequency * iou)) if true.any() else math.nan,
        mean_dice=mean_of_present(dice),
        mean_precision=mean_of_present(precision),
        per_class_iou=_floats(iou),
        per_class_dice=_floats(dice),
        per_class_precision=_floats(precision),
        per_class_recall=_floats(recall),
        pixels=int(true.sum()),
    )


def ratio(part: ArrayLike, whole: ArrayLike) -> NDArray[np.float64]:
    """Divide part by whole; nan where whole is 0."""
    dividend, divisor = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    quotient = np.full(divisor.shape, np.nan)
    np.divide(dividend, divisor, out=quotient, where=divisor > 0)
    return quotient


def _floats(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def mean_of_present(values: NDArray[np.float64]) -> float:
    """Return the mean of the classes that have a value; nan if none has."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else math.nan
