"""How far two sets of one kind are apart."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.drift.resampling import Counts, block_weights, differences, limits


def test_a_share_is_the_sum_of_parts_over_the_sum_of_wholes():
    counts = Counts(np.array([[1.0, 0], [3, 0]]), np.array([[10.0, 0], [30, 0]]))
    assert counts.share().tolist() == [0.1, 0.0]
    assert counts.drawn(np.array([[2.0, 0], [1, 3]])).tolist() == [[0.1, 0], [0.1, 0]]


def test_a_draw_is_of_the_asked_size_in_runs_of_neighbours():
    weights = block_weights(10, 7, 3, np.random.default_rng(0), draws=50)
    assert weights.shape == (50, 10)
    assert weights.sum(axis=1).tolist() == [7] * 50
    alone = block_weights(10, 3, 3, np.random.default_rng(0), draws=50)
    for row in alone:
        start = next(index for index in range(10) if row[index] and not row[index - 1])
        assert [row[(start + step) % 10] for step in range(3)] == [1, 1, 1]


def test_sets_of_a_video_are_farther_apart_than_of_images_in_any_order():
    street = np.repeat(np.arange(10.0), 10)[:, None]  # ten streets of ten frames each
    mixed = np.random.default_rng(0).permutation(street)
    spread = [
        differences(Counts(values, np.ones_like(values)), 20, lambda shares: shares).std() for values in (street, mixed)
    ]
    assert spread[0] > 2 * spread[1]


def test_figures_of_other_spreads_are_held_to_one_level_together():
    drawn = np.random.default_rng(0).normal(size=(4000, 20)) * np.linspace(1, 100, 20)
    allowed = limits(drawn, 0.95, 0.0)
    assert (np.abs(drawn) > allowed).any(axis=1).mean() == pytest.approx(0.05, abs=0.001)
    assert allowed[-1] / allowed[0] == pytest.approx(100, rel=0.1)


def test_a_figure_that_never_moved_has_the_least_limit():
    assert limits(np.zeros((10, 1)), 0.95, 0.5).tolist() == [0.0]
    drawn = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert limits(drawn, 0.5, 0.25).tolist() == [1.0, 0.25]
