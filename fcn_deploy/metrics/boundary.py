"""Count accuracy near a change of label, where coarse output and lost precision show first, and away from it.

The band is that of the trimap of Kohli, Ladicky, Torr ("Robust higher order potentials", IJCV 2009), with the
Chebyshev distance for the Euclidean one, so that it is separable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.metrics.scores import Counts, Labels, confusion_matrix


def boundary_mask(label: Labels, radius: int = 3) -> NDArray[np.bool_]:
    """Return pixels whose window of 2 radius + 1 a side, cut at the image's edge, holds more than one label.

    A change to the unlabelled value counts as a change: Pascal VOC draws its void band on the contours.

    Args:
        label: integer[..., H, W].
        radius: Chebyshev distance in pixels; the first pixels on both sides of a contour are at distance 1.
            0 marks nothing.

    Returns:
        bool[..., H, W].

    Raises:
        ValueError: a negative radius.
    """
    if radius < 0:
        raise ValueError(f"radius is {radius}; expected 0 or more pixels")
    if label.size == 0:
        return np.zeros(label.shape, bool)
    radius = min(radius, max(label.shape[-2:]))  # a window that holds the whole image grows no more
    highest, lowest = label, label
    for axis in (-1, -2):
        highest = _sliding(np.maximum, highest, radius, axis)
        lowest = _sliding(np.minimum, lowest, radius, axis)
    return np.asarray(highest != lowest)


def _sliding(extreme: np.ufunc, values: Labels, radius: int, axis: int) -> Labels:
    """Return `extreme` over windows of 2 radius + 1 along an axis, by doubling the window: log2 passes."""
    pad = [(0, 0)] * values.ndim
    pad[axis] = (radius, radius)
    padded = np.moveaxis(np.pad(values, pad, mode="edge"), axis, -1)  # an edge pixel again: adds no label
    width, window = 2 * radius + 1, 1
    while window < width:
        step = min(window, width - window)
        padded = extreme(padded[..., :-step], padded[..., step:])
        window += step
    return np.moveaxis(padded, -1, axis)


class Evaluation:
    """Three confusion matrices that grow image by image; boundary + interior = overall.

    Attributes:
        overall: int64[C, C], every labelled pixel.
        boundary: int64[C, C], labelled pixels within `radius` of a label change in the ground truth.
        images: how many images were counted.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255, radius: int = 3) -> None:
        self.num_classes, self.ignore_index, self.radius = num_classes, ignore_index, radius
        self.overall: Counts = np.zeros((num_classes, num_classes), np.int64)
        self.boundary: Counts = np.zeros((num_classes, num_classes), np.int64)
        self.images = 0

    @property
    def interior(self) -> Counts:
        """int64[C, C]: labelled pixels farther than `radius` from any label change."""
        return self.overall - self.boundary

    def update(self, target: Labels, pred: Labels) -> None:
        """Count one image [H, W] or a batch [N, H, W]; raises as `confusion_matrix` does, then counts nothing."""
        near = boundary_mask(target, self.radius)
        overall = confusion_matrix(target, pred, self.num_classes, self.ignore_index)
        self.boundary += confusion_matrix(target[near], pred[near], self.num_classes, self.ignore_index)
        self.overall += overall
        self.images += 1 if target.ndim == 2 else len(target)
