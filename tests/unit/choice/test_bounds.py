"""The bound on the change on all frames: it holds, and it tightens as frames come in."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fcn_deploy.choice.bounds import best_change, stages
from fcn_deploy.metrics.scores import scores


def _change(before, after):
    return 100 * (scores(after).mean_iou - scores(before).mean_iou)


def _frames(generator, count: int, error: float) -> np.ndarray:
    """int64[count, 3, 3]: 1000 pixels a frame; `error` of each frame's pixels, with much spread, are mislabelled."""
    found = np.zeros((count, 3, 3), np.int64)
    for frame in found:
        shares = generator.dirichlet([2, 2, 0.5])
        for own, pixels in enumerate((1000 * shares).astype(int)):
            wrong = generator.binomial(pixels, min(1.0, error * generator.exponential()))
            frame[own, own], frame[own, (own + 1) % 3] = pixels - wrong, wrong
    return found


def test_stages_double_and_end_with_all():
    assert stages(101) == (8, 16, 32, 64, 101)
    assert stages(8) == (8,)
    assert stages(3) == (3,)


def test_on_all_frames_the_bound_is_the_change_itself():
    generator = np.random.default_rng(0)
    before, after = _frames(generator, 12, 0.02), _frames(generator, 12, 0.05)
    assert best_change(before, after, 12, _change) == _change(before.sum(axis=0), after.sum(axis=0))


def test_of_fewer_than_eight_frames_nothing_is_known():
    generator = np.random.default_rng(0)
    assert best_change(_frames(generator, 7, 0.02), _frames(generator, 7, 0.9), 100, _change) == math.inf


@pytest.mark.parametrize("seen", [8, *(pytest.param(seen, marks=pytest.mark.long) for seen in (16, 32, 64))])
def test_the_bound_is_below_the_truth_less_than_once_in_a_hundred(seen):
    generator = np.random.default_rng(seen)
    below, trials = 0, 300
    for _ in range(trials):
        before, after = _frames(generator, 101, 0.03), _frames(generator, 101, 0.05)
        truth = _change(before.sum(axis=0), after.sum(axis=0))
        below += best_change(before[:seen], after[:seen], 101, _change) < truth
    assert below <= 3


def test_it_drops_what_loses_much_and_keeps_what_loses_nothing():
    generator = np.random.default_rng(1)
    before = _frames(generator, 101, 0.02)
    bad = before.copy()
    bad[:, 0, 1] += bad[:, 0, 0] // 5
    bad[:, 0, 0] -= bad[:, 0, 0] // 5
    assert best_change(before[:8], bad[:8], 101, _change) < -1
    assert best_change(before[:8], before[:8], 101, _change) == 0
