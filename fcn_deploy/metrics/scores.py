"""Compute the four accuracies of the FCN paper from a confusion matrix.

With n_ij pixels of class i predicted as j, t_i = sum_j n_ij and n_cl classes (section 5, "Metrics"):
pixel accuracy = sum_i n_ii / sum_i t_i; mean accuracy = (1 / n_cl) sum_i n_ii / t_i;
IU_i = n_ii / (t_i + sum_j n_ji - n_ii); mean IU = (1 / n_cl) sum_i IU_i;
frequency weighted IU = sum_i t_i IU_i / sum_k t_k.

Absent classes: a class with neither true nor predicted pixels has no IoU (nan) and is left out of the mean. One that
is predicted but never true has IoU 0 and is in the mean. Mean accuracy is over the classes with true pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fcn_deploy.metrics.confusion import Counts


@dataclass(frozen=True)
class Scores:
    """Fractions 0..1; nan where nothing was there to be scored.

    Attributes:
        per_class_iou: one a class; nan for a class that is neither in the truth nor in the prediction.
        pixels: how many pixels were counted.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    per_class_iou: tuple[float, ...]
    pixels: int = 0


def scores(counts: Counts) -> Scores:
    """Return the paper's metrics of int64[C, C] counts, row = true class, column = predicted class."""
    correct = np.diag(counts).astype(np.float64)
    true, predicted = counts.sum(axis=1), counts.sum(axis=0)
    iou = ratio(correct, true + predicted - correct)
    frequency = ratio(true, true.sum())
    return Scores(
        pixel_accuracy=float(ratio(correct.sum(), true.sum())),
        mean_accuracy=_mean(ratio(correct, true)),
        mean_iou=_mean(iou),
        frequency_weighted_iou=float(np.nansum(frequency * iou)) if true.any() else math.nan,
        per_class_iou=tuple(float(value) for value in iou),
        pixels=int(true.sum()),
    )


def ratio(part: ArrayLike, whole: ArrayLike) -> NDArray[np.float64]:
    """Divide part by whole; nan where whole is 0."""
    dividend, divisor = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    quotient = np.full(divisor.shape, np.nan)
    np.divide(dividend, divisor, out=quotient, where=divisor > 0)
    return quotient


def _mean(values: NDArray[np.float64]) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else math.nan
