import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fcn_deploy.errors import ShapeError
from fcn_deploy.metrics.agreement import AgreementCounts, PixelShare, logit_margin


def test_the_margin_is_the_distance_of_the_two_highest_logits():
    logits = np.array([[1.0, 5.0], [4.0, -2.0], [2.5, 5.0]], np.float32).reshape(1, 3, 1, 2)
    margin = logit_margin(logits)
    assert margin.dtype == np.float32
    assert margin.tolist() == [[[1.5, 0.0]]]
    assert np.isinf(logit_margin(logits[:, :1])).all()
    with pytest.raises(ShapeError, match="N x C x H x W"):
        logit_margin(logits[0])


@given(hnp.arrays(np.float32, (2, 5, 3, 4), elements=st.floats(-9, 9, width=32)))
def test_the_margin_is_that_of_sorted_logits(logits):
    ordered = np.sort(logits, axis=1)
    assert np.array_equal(logit_margin(logits), ordered[:, -1] - ordered[:, -2])


def test_agreement_is_counted_everywhere_and_at_boundaries():
    reference = np.array([[0, 0, 0, 0, 1, 1, 1, 1]], np.uint8)
    other = np.array([[1, 0, 0, 1, 1, 1, 1, 1]], np.uint8)
    agreement = AgreementCounts(radius=1)
    agreement.update(reference, other)
    assert agreement.overall == PixelShare(agreed=6, pixels=8)
    assert agreement.overall.fraction == 0.75
    assert agreement.boundary == PixelShare(agreed=1, pixels=2)
    assert agreement.interior == PixelShare(agreed=5, pixels=6)
    assert agreement.by_margin == ()
    assert agreement.largest_margin is None


def test_agreement_is_counted_by_margin_with_given_edges():
    agreement = AgreementCounts(edges=(1.0, 4.0))
    margins = np.array([[0.0, 0.5, 1.0, 3.9, 4.0, 9.0]], np.float32)
    agreement.update(np.zeros((1, 6), np.uint8), np.array([[1, 0, 1, 0, 0, 0]], np.uint8), margins)
    assert [(each.low, each.high, each.share) for each in agreement.by_margin] == [
        (0.0, 1.0, PixelShare(1, 2)),
        (1.0, 4.0, PixelShare(1, 2)),
        (4.0, math.inf, PixelShare(2, 2)),
    ]
    assert agreement.largest_margin == 1.0


def test_the_edges_are_quantiles_of_the_first_image_and_stay():
    agreement = AgreementCounts()
    labels = np.zeros((1, 11), np.uint8)
    agreement.update(labels, labels, np.arange(11, dtype=np.float32)[None])
    assert [(each.low, each.high) for each in agreement.by_margin] == [(0.0, 1.0), (1.0, 5.0), (5.0, math.inf)]
    assert [each.share.pixels for each in agreement.by_margin] == [1, 4, 6]
    agreement.update(labels, labels + 1, np.full((1, 11), 7, np.float32))
    assert [each.share for each in agreement.by_margin] == [PixelShare(1, 1), PixelShare(4, 4), PixelShare(6, 17)]
    assert agreement.largest_margin == 7.0


def test_a_share_of_no_pixels_is_nan():
    assert math.isnan(AgreementCounts().overall.fraction)


def test_shapes_that_differ_are_an_error():
    labels = np.zeros((2, 3, 5), np.uint8)
    with pytest.raises(ShapeError, match="same shape"):
        AgreementCounts().update(labels, labels[:1])
    with pytest.raises(ShapeError, match="margins are"):
        AgreementCounts().update(labels, labels, np.zeros((2, 3, 4), np.float32))
    with pytest.raises(ShapeError, match="float32"):
        AgreementCounts().update(labels, labels.astype(np.float32))


def test_infinite_and_missing_margins_do_not_break_the_bins():
    labels = np.zeros((1, 4), np.uint8)
    agreement = AgreementCounts()
    agreement.update(labels, labels, np.array([[np.inf, np.nan, np.inf, np.nan]], np.float32))
    assert sum(each.share.pixels for each in agreement.by_margin) == 4


@given(st.data())
def test_bins_add_up_to_overall_and_images_to_a_batch(data):
    shape = (3, 4, 5)
    reference, other = (data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2))) for _ in range(2))
    margins = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(0, 10, width=32)))
    whole, one_by_one = AgreementCounts(edges=(2.0, 5.0)), AgreementCounts(edges=(2.0, 5.0))
    whole.update(reference, other, margins)
    for index in range(3):
        one_by_one.update(reference[index], other[index], margins[index])
    assert sum((each.share for each in whole.by_margin), PixelShare()) == whole.overall
    assert whole.by_margin == one_by_one.by_margin
    assert (whole.overall, whole.boundary) == (one_by_one.overall, one_by_one.boundary)
    assert whole.largest_margin == one_by_one.largest_margin
