"""Count accuracy over a data set: everywhere, near label changes, and away from them."""

from __future__ import annotations

import numpy as np

from fcn_deploy.metrics.boundary import boundary_mask
from fcn_deploy.metrics.confusion import Counts, Labels, confusion_matrix


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
