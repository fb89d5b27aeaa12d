import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fcn_deploy.errors import ShapeError
from fcn_deploy.metrics.boundary import boundary_mask
from fcn_deploy.metrics.evaluation import Evaluation

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


def test_boundary_and_interior_are_counted_apart():
    target = np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1, 255]], np.uint8)
    pred = np.array([[1, 0, 0, 0, 1, 1, 1, 0, 1, 0]], np.uint8)
    evaluation = Evaluation(num_classes=2, radius=1)
    evaluation.update(target, pred)
    assert evaluation.overall.tolist() == [[3, 2], [1, 3]]
    assert evaluation.boundary.tolist() == [[0, 1], [0, 2]]  # columns 4, 5 and 8
    assert evaluation.interior.tolist() == [[3, 1], [1, 1]]


@given(LABELS, st.integers(0, 3), st.data())
def test_boundary_and_interior_add_up_to_overall_and_images_to_a_batch(target, radius, data):
    pred = data.draw(hnp.arrays(np.int64, target.shape, elements=st.integers(0, 2)))
    whole, one_by_one = Evaluation(3, radius=radius), Evaluation(3, radius=radius)
    whole.update(target, pred)
    batch = (target[None], pred[None]) if target.ndim == 2 else (target, pred)
    for label, guess in zip(*batch, strict=True):
        one_by_one.update(label, guess)
    assert np.array_equal(whole.boundary + whole.interior, whole.overall)
    assert (whole.interior >= 0).all()
    assert whole.overall.sum() == (target != 255).sum()
    assert np.array_equal(whole.overall, one_by_one.overall)
    assert np.array_equal(whole.boundary, one_by_one.boundary)
    assert whole.images == one_by_one.images == len(batch[0])


def test_an_update_that_fails_counts_nothing():
    evaluation = Evaluation(num_classes=2)
    with pytest.raises(ValueError, match="label 5"):
        evaluation.update(np.zeros((3, 5), np.uint8), np.full((3, 5), 5, np.uint8))
    with pytest.raises(ShapeError):
        evaluation.update(np.zeros((3, 5), np.uint8), np.zeros((3, 4), np.uint8))
    assert (evaluation.overall.sum(), evaluation.boundary.sum(), evaluation.images) == (0, 0, 0)


def test_wide_labels_are_evaluated_with_minus_one_ignored():
    target = np.array([[299, 299, -1]], np.int32)
    evaluation = Evaluation(num_classes=300, ignore_index=-1, radius=1)
    evaluation.update(target, np.array([[299, 0, 5]], np.int32))
    assert (evaluation.overall[299, 299], evaluation.overall[299, 0], evaluation.overall.sum()) == (1, 1, 2)
    assert evaluation.boundary.sum() == 1
