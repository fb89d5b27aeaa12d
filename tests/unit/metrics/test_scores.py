import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fcn_deploy.metrics.scores import scores


def test_the_four_metrics_of_a_hand_computed_matrix():
    # true pixels: 10, 5, 5; predicted pixels: 9, 6, 5; correct: 8, 4, 3
    result = scores(np.array([[8, 1, 1], [0, 4, 1], [1, 1, 3]]))
    assert result.pixel_accuracy == pytest.approx(15 / 20)
    assert result.mean_accuracy == pytest.approx((8 / 10 + 4 / 5 + 3 / 5) / 3)
    assert result.per_class_iou == pytest.approx((8 / 11, 4 / 7, 3 / 7))
    assert result.mean_iou == pytest.approx((8 / 11 + 4 / 7 + 3 / 7) / 3)
    assert result.frequency_weighted_iou == pytest.approx((10 * 8 / 11 + 5 * 4 / 7 + 5 * 3 / 7) / 20)
    assert result.pixels == 20


def test_dice_precision_and_recall_of_a_hand_computed_matrix():
    # true pixels: 10, 6, 4; predicted pixels: 10, 5, 5; correct: 8, 4, 3
    result = scores(np.array([[8, 1, 1], [1, 4, 1], [1, 0, 3]]))
    assert result.per_class_precision == pytest.approx((0.8, 0.8, 0.6))
    assert result.per_class_recall == pytest.approx((0.8, 4 / 6, 0.75))
    assert result.per_class_dice == pytest.approx((16 / 20, 8 / 11, 6 / 9))
    assert result.mean_precision == pytest.approx(2.2 / 3)
    assert result.mean_dice == pytest.approx((16 / 20 + 8 / 11 + 6 / 9) / 3)
    assert result.mean_accuracy == pytest.approx(sum(result.per_class_recall) / 3)


def test_a_class_without_predicted_pixels_has_no_precision_and_one_without_true_pixels_no_recall():
    result = scores(np.array([[3, 0, 1], [2, 0, 0], [0, 0, 0]]))
    assert result.per_class_dice == pytest.approx((6 / 9, 0, 0))
    assert result.per_class_precision == pytest.approx((3 / 5, math.nan, 0), nan_ok=True)
    assert result.per_class_recall == pytest.approx((3 / 4, 0, math.nan), nan_ok=True)
    assert result.mean_precision == pytest.approx(3 / 10)


def test_a_class_in_neither_truth_nor_prediction_is_left_out():
    result = scores(np.array([[3, 0, 1], [0, 0, 0], [0, 0, 2]]))
    assert math.isnan(result.per_class_iou[1])
    assert result.mean_iou == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert result.mean_accuracy == pytest.approx((3 / 4 + 1) / 2)
    assert result.frequency_weighted_iou == pytest.approx((4 * 3 / 4 + 2 * 2 / 3) / 6)


def test_a_class_that_is_only_predicted_has_iou_zero_and_no_accuracy():
    result = scores(np.array([[3, 1], [0, 0]]))
    assert result.per_class_iou == (0.75, 0.0)
    assert result.mean_iou == 0.375
    assert result.mean_accuracy == 0.75


def test_no_pixels_have_no_scores():
    result = scores(np.zeros((3, 3), np.int64))
    values = (result.pixel_accuracy, result.mean_accuracy, result.mean_iou, result.frequency_weighted_iou)
    assert all(math.isnan(value) for value in (*values, *result.per_class_iou))
    assert result.pixels == 0


def test_counts_of_a_large_data_set_do_not_overflow():
    counts = np.full((2, 2), 2**60)
    result = scores(counts)
    assert result.pixel_accuracy == 0.5
    assert result.per_class_iou == pytest.approx((1 / 3, 1 / 3))


MATRICES = hnp.arrays(np.int64, st.integers(1, 6).map(lambda c: (c, c)), elements=st.integers(0, 50))


@given(MATRICES)
def test_scores_are_fractions_and_one_for_a_perfect_prediction(counts):
    result = scores(counts)
    values = (result.pixel_accuracy, result.mean_accuracy, result.mean_iou, result.frequency_weighted_iou)
    assert all(math.isnan(value) or 0 <= value <= 1 + 1e-12 for value in (*values, *result.per_class_iou))
    for dice, iou in zip(result.per_class_dice, result.per_class_iou, strict=True):
        assert dice == pytest.approx(2 * iou / (1 + iou), nan_ok=True)
    perfect = scores(np.diag(np.diag(counts) + 1))
    assert perfect.mean_iou == perfect.mean_accuracy == perfect.pixel_accuracy == 1
    assert perfect.frequency_weighted_iou == pytest.approx(1)


@given(MATRICES, st.randoms())
def test_the_order_of_classes_does_not_matter(counts, random):
    order = list(range(len(counts)))
    random.shuffle(order)
    shuffled, plain = scores(counts[np.ix_(order, order)]), scores(counts)
    assert shuffled.mean_iou == pytest.approx(plain.mean_iou, nan_ok=True)
    assert shuffled.per_class_iou == pytest.approx([plain.per_class_iou[index] for index in order], nan_ok=True)
