"""Scales and their ticks."""

from __future__ import annotations

import pytest

from fcn_deploy.page.scale import Scale, centred, from_zero, positive


def test_a_scale_maps_its_ends_and_a_logarithmic_one_its_middle():
    assert Scale(0, 10, 100, 0)(2.5) == 75
    scale = Scale(1, 100, 0, 200, log=True)
    assert scale(10) == pytest.approx(100)


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 10, 0, 1), [0, 2, 4, 6, 8, 10]),
        (Scale(0.93, 1.31, 0, 1), [1.0, 1.1, 1.2, 1.3]),
        (Scale(7, 75, 0, 1, log=True), [10, 20, 50]),
        (Scale(0.5, 5000, 0, 1, log=True), [1, 10, 100, 1000]),
        (Scale(-0.5, 0.5, 0, 1), [-0.4, -0.2, 0, 0.2, 0.4]),
    ],
)
def test_ticks_are_round_and_few(scale, ticks):
    assert scale.ticks() == pytest.approx(ticks)


def test_times_that_lie_far_apart_are_drawn_by_their_ratios():
    assert positive([10, 31], 0, 1).log
    assert not positive([10, 29], 0, 1).log
    assert positive([], 0, 1).high > positive([], 0, 1).low
    assert positive([5.0], 0, 1).low < 5 < positive([5.0], 0, 1).high


def test_a_hundredth_of_a_point_is_not_drawn_as_tall_as_a_point():
    narrow = centred([58.34, 58.35], 0, 1, least=1.0)
    assert narrow.high - narrow.low == pytest.approx(1.0)
    assert (from_zero([], 0, 1).low, from_zero([200], 0, 1).low) == (0, 0)
