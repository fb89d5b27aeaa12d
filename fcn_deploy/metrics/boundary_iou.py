"""Count Boundary IoU as its authors define it: the IoU of what lies near each mask's own contour.

Cheng, Girshick, Dollár, Berg, Kirillov, "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR
2021, equation 2: |(G_d & G) & (P_d & P)| / |(G_d & G) | (P_d & P)|, where G is the true mask, P the predicted one, and
G_d & G the pixels of G within the distance d of its contour: G less its erosion by d steps of 3 x 3. As in the authors'
code d is 2 % of the image's diagonal, rounded, at least one pixel, and the edge of the image is a contour too. Here a
mask is a class of an image; counts are added over images, as for mIoU.

The boundary mIoU of `boundary.py` differs: its band is of a fixed width, on both sides of the contours of the ground
truth alone, and holds whatever both label maps say there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.metrics.boundary import Evaluation, boundary_mask
from fcn_deploy.metrics.scores import Counts, Labels, check_labels, mean_of_present, ratio

DIAGONAL_SHARE = 0.02


def contour_distance(height: int, width: int) -> int:
    """Return d in pixels: 2 % of the diagonal, at least 1."""
    return max(1, round(DIAGONAL_SHARE * math.hypot(height, width)))


def inner_boundary(label: Labels, distance: int) -> NDArray[np.bool_]:
    """Return the pixels that the erosion of their own class's mask by `distance` takes away.

    A pixel goes if its window of 2 distance + 1 a side holds another label or reaches beyond the image: one answer for
    the masks of all classes.

    Args:
        label: integer[..., H, W].

    Returns:
        bool[..., H, W].
    """
    found = boundary_mask(label, distance)
    for rows_or_columns in (found, found.swapaxes(-1, -2)):
        rows_or_columns[..., :distance, :] = True
        rows_or_columns[..., -distance:, :] = True
    return found


class BoundaryIouCounts:
    """Pixels of the boundary regions of each class, which grow image by image.

    Attributes:
        counts: int64[3, C]: in both regions, in that of the truth, in that of the prediction.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.counts: Counts = np.zeros((3, num_classes), np.int64)

    def update(self, target: Labels, pred: Labels) -> None:
        """Count one image [H, W] or a batch [N, H, W].

        Where the target is unlabelled, the prediction is too: neither mask has these pixels, so that both have the
        same contour there.

        Args:
            target, pred: integer labels as for `confusion_matrix`, which checks their range.

        Raises:
            ShapeError: the shapes differ, or the labels are not integers.
        """
        check_labels(target, pred)
        if target.size == 0:
            return
        narrow = self.num_classes <= 255 and 0 <= self.ignore_index <= 255
        target, pred = (labels.astype(np.uint8 if narrow else np.int64, copy=False) for labels in (target, pred))
        labelled = target != self.ignore_index
        pred = np.where(labelled, pred, target)
        distance = contour_distance(*target.shape[-2:])
        true_region, predicted_region = (labelled & inner_boundary(labels, distance) for labels in (target, pred))
        both = true_region & predicted_region & (target == pred)
        for row, found in zip(self.counts, (target[both], target[true_region], pred[predicted_region]), strict=True):
            row += np.bincount(found, minlength=self.num_classes)


class FullEvaluation(Evaluation):
    """The confusion matrices of `Evaluation`, and the counts of Boundary IoU.

    Attributes:
        regions: the counts of Boundary IoU.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255, radius: int = 3) -> None:
        super().__init__(num_classes, ignore_index, radius)
        self.regions = BoundaryIouCounts(num_classes, ignore_index)

    def update(self, target: Labels, pred: Labels) -> None:
        super().update(target, pred)
        self.regions.update(target, pred)


@dataclass(frozen=True)
class BoundaryIou:
    """Boundary IoU of Cheng et al., as fractions 0..1.

    Attributes:
        mean: over the classes with a boundary in the truth or the prediction; nan without one.
        per_class: nan for a class that has none.
    """

    mean: float
    per_class: tuple[float, ...]


def boundary_iou(counts: Counts) -> BoundaryIou:
    """Return the scores of the int64[3, C] counts of `BoundaryIouCounts`."""
    both, true, predicted = counts
    found = ratio(both, true + predicted - both)
    return BoundaryIou(mean_of_present(found), tuple(float(value) for value in found))
