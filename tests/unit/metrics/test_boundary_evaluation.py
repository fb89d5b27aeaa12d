import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fcn_deploy.errors import ShapeError
from fcn_deploy.metrics.boundary import Evaluation

LABELS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9), elements=st.sampled_from([0, 1, 2, 255])
)


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
