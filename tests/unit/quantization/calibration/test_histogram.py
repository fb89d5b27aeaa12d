"""Histograms of a tensor's values, and the ranges that each method takes from them."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.quantization.calibration.histogram import BINS, Histogram, choose_range
from fcn_deploy.vocabulary import METHODS


def _histogram(*arrays: np.ndarray) -> Histogram:
    histogram = Histogram()
    for array in arrays:
        histogram.add(np.asarray(array, np.float32))
    return histogram


NORMAL = np.random.default_rng(0).normal(size=200_001).astype(np.float32)


def test_a_larger_value_widens_the_bins_and_loses_no_count():
    histogram = _histogram([0.0, 0.5, -0.25], [100.0, 0.5])
    assert (histogram.low, histogram.high, histogram.zeros, histogram.total) == (-0.25, 100.0, 1, 5)
    assert histogram.width == 128 / BINS
    # Bins are 1/32 wide now: 0.5 twice in bin 16, 0.25 in bin 8, 100 in bin 3200.
    assert {int(k): int(histogram.counts[k]) for k in np.flatnonzero(histogram.counts)} == {8: 1, 16: 2, 3200: 1}


def test_the_order_of_the_images_changes_nothing():
    parts = [NORMAL[:7] * 0.01, NORMAL[7:5000] * 30, NORMAL[5000:]]
    forth, back = _histogram(*parts), _histogram(*parts[::-1])
    assert np.array_equal(forth.counts, back.counts)
    assert (forth.width, forth.low, forth.high, forth.zeros) == (back.width, back.low, back.high, back.zeros)


def test_the_counts_are_numpys():
    histogram = _histogram(NORMAL)
    expected, _ = np.histogram(np.abs(NORMAL), bins=BINS, range=(0, histogram.width * BINS))
    assert np.array_equal(histogram.counts, expected)


def test_minmax_is_exact_and_a_side_without_values_costs_nothing():
    histogram = _histogram([0.5, 3.0], [1.0])
    assert choose_range(histogram, "minmax", symmetric=True) == (-3.0, 3.0)
    assert choose_range(histogram, "minmax", symmetric=False) == (0.0, 3.0)
    assert choose_range(_histogram([-1.0, 7.0]), "minmax", symmetric=False) == (-1.0, 7.0)


def test_percentile_clips_the_share_that_it_was_given():
    histogram = _histogram(NORMAL)
    low, high = choose_range(histogram, "percentile", symmetric=True, percentile=99.0)
    # |x| of a standard normal is below 2.5758 for 99 %; a bin is 8/4096 = 0.002 wide, and 200 001 samples scatter.
    assert high == pytest.approx(2.576, abs=0.03)
    assert low == -high
    assert 0.0095 < histogram.share_outside(low, high) <= 0.01


# mse weighs rounding, 200 001 * (T / 127)^2 / 12, against clipping, (300 - T)^2: least at T = 148.
@pytest.mark.parametrize(("method", "most"), [("percentile", 6), ("entropy", 60), ("mse", 165)])
def test_a_lone_outlier_does_not_set_the_range(method, most):
    histogram = _histogram(NORMAL, [300.0])
    _, high = choose_range(histogram, method, symmetric=True)
    assert 3.0 < high < most
    assert choose_range(histogram, "minmax", symmetric=True) == (-300.0, 300.0)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_goes_past_the_largest_value_and_uniform_values_need_all_of_it(method):
    histogram = _histogram(np.linspace(0, 5, 60_000))
    for symmetric in (True, False):
        assert 4.8 < choose_range(histogram, method, symmetric=symmetric)[1] <= 5.0


def test_mse_beats_minmax_in_squared_error():
    values = np.concatenate([NORMAL, np.float32([40.0])])
    histogram = _histogram(values)

    def error(method: str) -> float:
        scale = choose_range(histogram, method, symmetric=True)[1] / 127
        return float(((np.clip(np.rint(values / scale), -127, 127) * scale - values) ** 2).mean())

    assert error("mse") < 0.9 * error("minmax")
    assert error("mse") <= 1.02 * min(error("percentile"), error("entropy"))


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_of_zeros_has_an_empty_range(method):
    histogram = _histogram(np.zeros((2, 3)))
    assert choose_range(histogram, method, symmetric=True) == (0.0, 0.0)
    assert histogram.share_outside(0.0, 0.0) == 0.0


def test_nan_and_infinity_are_refused():
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="NaN or infinite"):
            _histogram([1.0, value])
