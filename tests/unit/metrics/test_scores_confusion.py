import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fcn_deploy.errors import ShapeError
from fcn_deploy.metrics.scores import confusion_matrix

INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64, np.uint64)


def test_rows_are_true_classes_and_columns_predicted_ones():
    target = np.array([[[0, 0, 1], [2, 2, 2]]], np.uint8)
    pred = np.array([[[0, 1, 1], [2, 0, 0]]], np.uint8)
    counts = confusion_matrix(target, pred, num_classes=3)
    assert counts.dtype == np.int64
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 1]]


def test_ignored_pixels_count_for_neither_class():
    target = np.array([[[0, 1, 255]]], np.uint8)
    assert confusion_matrix(target, np.array([[[0, 0, 1]]]), num_classes=2).tolist() == [[1, 0], [1, 0]]


def test_any_prediction_is_allowed_where_the_target_is_ignored():
    target = np.array([[1, 255, 255]], np.uint8)
    for outside in (255, 2):
        pred = np.array([[1, outside, outside]], np.uint8)
        assert confusion_matrix(target, pred, num_classes=2).tolist() == [[0, 0], [0, 1]]
        assert pred.tolist() == [[1, outside, outside]]


def test_the_ignore_index_may_be_a_class():
    target = np.array([[0, 1, 1]], np.uint8)
    assert confusion_matrix(target, target, num_classes=2, ignore_index=0).tolist() == [[0, 0], [0, 2]]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_every_integer_type_counts_alike(dtype):
    target, pred = np.array([[2, 0, 7, 1]], dtype), np.array([[2, 1, 9, 1]], dtype)
    expected = [[0, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert confusion_matrix(target, pred, 3, ignore_index=7).tolist() == expected
    assert confusion_matrix(target.astype(np.uint8), pred, 3, ignore_index=7).tolist() == expected
    assert confusion_matrix(target, pred.astype(np.uint8), 3, ignore_index=7).tolist() == expected


def test_above_255_classes_minus_one_is_ignored():
    target = np.array([[299, -1], [256, 0]], np.int32)
    counts = confusion_matrix(target, np.array([[299, 299], [0, 256]], np.int32), 300, ignore_index=-1)
    assert (counts[299, 299], counts[256, 0], counts[0, 256], counts.sum()) == (1, 1, 1, 3)


def test_255_classes_fit_into_bytes():
    target = np.arange(256, dtype=np.uint8)[None]
    counts = confusion_matrix(target, np.minimum(target, 254), 255)
    assert np.array_equal(counts, np.eye(255, dtype=np.int64))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
@pytest.mark.parametrize(
    ("target", "pred", "words"),
    [
        ([0, 3, 3], [0, 0, 0], "target has label 3 in 2 counted pixels; expected 0 to 2"),
        ([0, 1, 2], [0, 4, 1], "prediction has label 4 in 1 counted pixels; expected 0 to 2"),
    ],
)
def test_a_counted_label_outside_the_classes_is_an_error(dtype, target, pred, words):
    with pytest.raises(ValueError, match=words):
        confusion_matrix(np.array(target, dtype), np.array(pred, dtype), 3)


def test_a_negative_prediction_is_an_error():
    with pytest.raises(ValueError, match="prediction has label -1 "):
        confusion_matrix(np.array([0, 1], np.uint8), np.array([0, -1]), 2)


def test_shapes_that_differ_and_floats_are_an_error():
    labels = np.zeros((2, 33, 47), np.uint8)
    with pytest.raises(ShapeError, match="target is 2x33x47 and prediction 33x47; expected the same shape"):
        confusion_matrix(labels, labels[0], 3)
    with pytest.raises(ShapeError, match="prediction is float32; expected integer labels"):
        confusion_matrix(labels, labels.astype(np.float32), 3)


def test_no_pixels_make_a_matrix_of_zeros():
    empty = np.zeros((0, 3, 5), np.uint8)
    assert confusion_matrix(empty, empty, 2).tolist() == [[0, 0], [0, 0]]
    ignored = np.full((3, 5), 255, np.uint8)
    assert confusion_matrix(ignored, ignored, 2).tolist() == [[0, 0], [0, 0]]


def test_strided_arrays_count_like_their_copies():
    labels = np.random.default_rng(0).integers(0, 5, (2, 9, 11), np.uint8)
    turned = labels.transpose(0, 2, 1)[:, ::2]
    counts = confusion_matrix(turned, np.flip(turned, axis=2), 5)
    assert np.array_equal(counts, confusion_matrix(turned.copy(), np.flip(turned, axis=2).copy(), 5))


@st.composite
def pairs(draw):
    num_classes = draw(st.integers(1, 6))
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=7))
    target = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([*range(num_classes), 255])))
    pred = draw(hnp.arrays(draw(st.sampled_from(INTEGERS)), shape, elements=st.integers(0, num_classes - 1)))
    return target, pred, num_classes


@given(pairs())
def test_counting_pixel_by_pixel_gives_the_same(pair):
    target, pred, num_classes = pair
    expected = np.zeros((num_classes, num_classes), int)
    for true, guess in zip(target.ravel().tolist(), pred.ravel().tolist(), strict=True):
        if true != 255:
            expected[true, guess] += 1
    assert confusion_matrix(target, pred, num_classes).tolist() == expected.tolist()


@given(pairs(), st.integers(0, 7))
def test_matrices_of_parts_add_up(pair, cut):
    target, pred, num_classes = pair
    parts = [confusion_matrix(target[half], pred[half], num_classes) for half in (slice(cut), slice(cut, None))]
    assert np.array_equal(parts[0] + parts[1], confusion_matrix(target, pred, num_classes))
