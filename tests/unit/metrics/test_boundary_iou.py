"""Boundary IoU as Cheng et al. define it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fcn_deploy.errors import ShapeError
from fcn_deploy.metrics.boundary_iou import BoundaryIouCounts, boundary_iou, contour_distance, inner_boundary

LABELS = hnp.arrays(np.uint8, (2, 5, 7), elements=st.sampled_from([0, 1, 2, 255]))


def test_the_distance_is_two_per_cent_of_the_diagonal_and_at_least_a_pixel():
    assert contour_distance(360, 480) == 12  # the diagonal is 600
    assert contour_distance(1024, 2048) == 46  # 0.02 x 2289.7 = 45.8
    assert contour_distance(3, 4) == 1


def test_a_square_and_the_same_square_a_column_further():
    """8 x 8 pixels of the class, d = 1: the rings have 28 pixels; moved by one column they share 2 x 7 of them."""
    target, pred = np.zeros((2, 20, 24), np.uint8)
    target[6:14, 6:14], pred[6:14, 7:15] = 1, 1
    counts = BoundaryIouCounts(num_classes=2)
    counts.update(target, pred)
    assert counts.counts[:, 1].tolist() == [14, 28, 28]
    found = boundary_iou(counts.counts)
    assert found.per_class[1] == pytest.approx(14 / 42)
    assert found.mean == pytest.approx(sum(found.per_class) / 2)


def test_the_edge_of_the_image_is_a_contour():
    assert inner_boundary(np.zeros((4, 5), np.uint8), 1).astype(int).tolist() == [
        [1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1],
    ]  # fmt: skip


def test_what_lies_deep_within_both_masks_does_not_count():
    """A wrong pixel in the middle of a class has a contour of its own: 1 pixel, and its 8 neighbours of the others."""
    target, pred = np.zeros((2, 9, 11), np.uint8)
    pred[4, 5] = 1
    counts = BoundaryIouCounts(num_classes=2)
    counts.update(target, pred)
    ring = 2 * 11 + 2 * 7
    assert counts.counts.tolist() == [[ring, 0], [ring, 0], [ring + 8, 1]]
    assert boundary_iou(counts.counts).per_class == (ring / (ring + 8), 0.0)


def test_unlabelled_pixels_belong_to_neither_mask():
    target = np.zeros((9, 11), np.uint8)
    target[:, 5:] = 255
    counts = BoundaryIouCounts(num_classes=2)
    counts.update(target, np.where(target == 255, 1, 0))
    assert counts.counts.tolist() == [[24, 0], [24, 0], [24, 0]]
    assert math.isnan(boundary_iou(counts.counts).per_class[1])


def test_labels_that_need_more_than_a_byte_and_a_negative_value_of_the_unlabelled():
    target = np.array([[299, 299, -1, 0]])
    counts = BoundaryIouCounts(num_classes=300, ignore_index=-1)
    counts.update(target, np.array([[299, 0, 5, 0]]))
    assert counts.counts[:, [0, 5, 299]].tolist() == [[1, 0, 1], [1, 0, 2], [2, 0, 1]]


def test_nothing_to_score_has_no_score_and_unequal_shapes_are_an_error():
    counts = BoundaryIouCounts(num_classes=2)
    counts.update(np.zeros((0, 3, 4), np.uint8), np.zeros((0, 3, 4), np.uint8))
    assert math.isnan(boundary_iou(counts.counts).mean)
    with pytest.raises(ShapeError):
        counts.update(np.zeros((3, 4), np.uint8), np.zeros((4, 3), np.uint8))


def _minus_erosion(mask: np.ndarray, distance: int) -> np.ndarray:
    """The authors' procedure step by step: a margin of zeros, `distance` erosions by 3 x 3, mask minus the result."""
    eroded = np.pad(mask, 1)
    for _ in range(distance):
        around = np.pad(eroded, 1, constant_values=True)
        height, width = eroded.shape
        eroded = np.logical_and.reduce([
            around[row : row + height, column : column + width] for row in range(3) for column in range(3)
        ])  # fmt: skip
    return mask & ~eroded[1:-1, 1:-1]


@given(LABELS, LABELS, st.integers(1, 3))
def test_each_class_has_the_region_of_the_authors_procedure(target, pred, distance):
    for label in target:
        found = inner_boundary(label, distance)
        for value in (0, 1, 2):
            assert np.array_equal(found & (label == value), _minus_erosion(label == value, distance))
    counts, alone = BoundaryIouCounts(3), [BoundaryIouCounts(3), BoundaryIouCounts(3)]
    pred = np.where(pred == 255, 0, pred)
    counts.update(target, pred)
    for one, label, other in zip(alone, target, pred, strict=True):
        one.update(label, other)
    assert np.array_equal(counts.counts, alone[0].counts + alone[1].counts)
    per_class = boundary_iou(counts.counts).per_class
    assert all(math.isnan(value) or 0 <= value <= 1 for value in per_class)
    counts = BoundaryIouCounts(3)
    counts.update(target, np.where(target == 255, 0, target))
    assert boundary_iou(counts.counts).mean == 1 or (target == 255).all()
