"""Quantiles of Student's t and what few samples do to a bootstrap interval."""

from __future__ import annotations

import pytest

from fcn_deploy.metrics.student import quantile, small_sample_factor


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.706), (4.9, 2.776), (5, 2.571), (30, 2.042), (60, 2.000), (100, 1.984), (0.2, 12.706)],
)
def test_quantiles_are_those_of_the_tables(freedom, expected):
    assert quantile(freedom) == pytest.approx(expected, abs=1e-3)


def test_few_samples_need_a_wider_interval_and_many_none():
    assert small_sample_factor(2) == pytest.approx(12.706 / 1.960 * 2**0.5)
    assert small_sample_factor(101) == pytest.approx(1.017, abs=1e-3)
    assert small_sample_factor(100_000) == pytest.approx(1, abs=1e-4)
