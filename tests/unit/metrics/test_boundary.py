"""Which pixels are near a boundary of two labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fcn_deploy.metrics.boundary import boundary_mask

LABELS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9), elements=st.sampled_from([0, 1, 2, 255])
)


def test_the_boundary_is_radius_pixels_on_both_sides_of_a_change():
    label = np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1]], np.uint8)
    assert boundary_mask(label, radius=1).astype(int).tolist() == [[0, 0, 0, 0, 1, 1, 0, 0, 0]]
    assert boundary_mask(label, radius=3).astype(int).tolist() == [[0, 0, 1, 1, 1, 1, 1, 1, 0]]
    assert not boundary_mask(label, radius=0).any()


def test_the_distance_counts_diagonals_as_one():
    label = np.zeros((5, 6), np.uint8)
    label[0, 0] = 1
    assert np.argwhere(boundary_mask(label, radius=2)).tolist() == [
        [row, column] for row in range(3) for column in range(3)
    ]


def test_a_change_to_unlabelled_is_a_boundary():
    label = np.array([[1, 1, 1, 255]], np.uint8)
    assert boundary_mask(label, radius=1).tolist() == [[False, False, True, True]]


def test_the_edge_of_the_image_and_the_next_image_are_no_boundary():
    label = np.zeros((2, 3, 5), np.uint8)
    label[1] = 1
    assert not boundary_mask(label, radius=3).any()


def test_images_smaller_than_the_window_have_boundaries_too():
    assert boundary_mask(np.array([[0], [1]], np.uint8), radius=9).all()
    assert not boundary_mask(np.zeros((1, 1), np.uint8), radius=9).any()
    assert boundary_mask(np.zeros((0, 4, 5), np.uint8)).shape == (0, 4, 5)


def test_a_radius_beyond_any_memory_is_that_of_the_whole_image():
    label = np.zeros((3, 5), np.uint8)
    label[0, 0] = 1
    assert boundary_mask(label, radius=10**30).all()


def test_a_negative_radius_is_an_error():
    with pytest.raises(ValueError, match="radius is -1"):
        boundary_mask(np.zeros((3, 5), np.uint8), radius=-1)


@given(LABELS, st.integers(0, 5), st.booleans())
def test_every_window_with_two_labels_is_boundary_and_no_other(label, radius, wide):
    label = label.astype(np.int32) - 1 if wide else label
    mask = boundary_mask(label, radius)
    assert mask.shape == label.shape
    for place in np.ndindex(label.shape):
        *image, row, column = place
        window = label[
            (*image, slice(max(0, row - radius), row + radius + 1), slice(max(0, column - radius), column + radius + 1))
        ]
        assert mask[place] == (len(np.unique(window)) > 1)
