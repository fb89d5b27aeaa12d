"""Percentile intervals of IoU changes over resampled images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fcn_deploy.errors import ShapeError
from fcn_deploy.metrics.bootstrap import Interval, interval, iou_change, multiplicities
from fcn_deploy.metrics.scores import scores

GENERATOR = np.random.default_rng(0)


def counts(images: int, classes: int = 3) -> np.ndarray:
    return GENERATOR.integers(1, 50, (images, classes, classes))


def test_a_draw_holds_as_many_images_as_there_are_and_the_same_seed_the_same_ones():
    drawn = multiplicities(7, 50, seed=3)
    assert drawn.shape == (50, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert (drawn == multiplicities(7, 50, seed=3)).all()
    assert (drawn != multiplicities(7, 50, seed=4)).any()
    assert drawn.max() > 1  # with replacement


def test_the_value_is_the_difference_of_the_scores_of_the_whole_set():
    before, after = counts(5), counts(5)
    change = iou_change(before, after, draws=20)
    old, new = scores(before.sum(axis=0)), scores(after.sum(axis=0))
    assert change.mean.value == pytest.approx(new.mean_iou - old.mean_iou, abs=1e-12)  # float64 sums
    expected = np.subtract(new.per_class_iou, old.per_class_iou)
    assert [part.value for part in change.classes] == pytest.approx(expected, abs=1e-12)


def test_every_draw_is_scored_on_the_same_images_for_both():
    before, after = counts(6), counts(6)
    weights = multiplicities(6, 40, seed=1)
    drawn = [
        scores((row[:, None, None] * after).sum(0)).mean_iou - scores((row[:, None, None] * before).sum(0)).mean_iou
        for row in weights
    ]
    change = iou_change(before, after, draws=40, seed=1, level=0.9).mean
    # and the ends lie further out by Student's t of 5 degrees of freedom for the normal distribution's 1.96
    factor = 2.571 / 1.960 * math.sqrt(6 / 5)
    expected = change.value + factor * (np.quantile(drawn, (0.05, 0.95)) - change.value)
    assert (change.low, change.high) == pytest.approx(tuple(expected), abs=1e-12)


def test_two_networks_that_do_the_same_have_an_interval_of_nothing():
    both = counts(8)
    change = iou_change(both, both.copy())
    assert change.mean == Interval(0.0, 0.0, 0.0)


def test_one_image_has_no_interval():
    change = iou_change(counts(1), counts(1))
    assert change.mean.low is None
    assert all(part.high is None for part in change.classes)


def test_a_class_that_is_nowhere_is_left_out_and_one_in_a_single_image_is_judged_where_it_is_drawn():
    before = np.zeros((4, 3, 3), np.int64)
    before[:, 0, 0] = 10
    before[0, 1, 1] = 4
    after = before.copy()
    after[0, 1] = [2, 2, 0]  # half of class 1 is lost to class 0
    change = iou_change(before, after)
    # class 0: 40 of 40 before; 40 of 42 after. class 1: 4 of 4; 2 of 4. class 2 is nowhere.
    assert [part.value for part in change.classes[:2]] == pytest.approx([40 / 42 - 1, 2 / 4 - 1])
    assert np.isnan(change.classes[2].value)
    assert change.classes[2].low is None
    assert change.mean.value == pytest.approx((40 / 42 + 0.5) / 2 - 1)
    # Drawn n times, class 1 always has 2n of 4n; draws without it are left out.
    assert (change.classes[1].low, change.classes[1].high) == pytest.approx((-0.5, -0.5))


def test_the_interval_holds_the_true_change_about_as_often_as_it_says():
    """Of 200 sets of 40 images whose pixels lose class 1 at a random rate of 10 % on average."""
    held = 0
    for _ in range(200):
        lost = GENERATOR.uniform(0, 20, 40).round().astype(int)
        before = np.zeros((40, 2, 2), np.int64)
        before[:, 0, 0], before[:, 1, 1] = 100, 100
        after = before.copy()
        after[:, 1, 1] -= lost
        after[:, 1, 0] += lost
        change = iou_change(before, after, draws=200).classes[1]  # IoU of class 1: 90 of 100 pixels
        held += change.low <= -0.1 <= change.high
    assert 0.88 * 200 <= held <= 0.99 * 200  # binomial(200, 0.95) and the percentile method's slight undercoverage


def test_draws_without_a_figure_do_not_spoil_the_interval():
    drawn = np.array([np.nan, 1.0, 2.0, 3.0, np.nan])
    assert interval(2.0, drawn, level=0.5) == Interval(2.0, 1.5, 2.5)
    assert interval(2.0, np.array([np.nan, 1.0])) == Interval(2.0)


def test_counts_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="expected two stacks"):
        iou_change(counts(2), counts(3))
    with pytest.raises(ShapeError, match="expected two stacks"):
        iou_change(counts(2)[0], counts(2)[0])
    with pytest.raises(ShapeError, match="expected two stacks"):
        iou_change(counts(0), counts(0))
