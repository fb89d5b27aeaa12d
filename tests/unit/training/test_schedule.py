"""The learning rate of each step."""

from __future__ import annotations

import pytest

from fcn_deploy.training.schedule import default_warmup, learning_rate


def test_poly_schedule_at_the_start_the_middle_and_the_last_step():
    assert learning_rate(0, 100, 0.01, 0, 0.9) == 0.01
    assert learning_rate(50, 100, 0.01, 0, 0.9) == pytest.approx(0.00535887, rel=1e-6)  # 0.01 * 2 ** -0.9
    assert learning_rate(99, 100, 0.01, 0, 0.9) == pytest.approx(0.000158489, rel=1e-5)  # 0.01 * 10 ** -1.8


def test_warm_up_rises_linearly_and_reaches_the_full_rate_at_its_last_step():
    # power 0: no decay, so that the rise alone is seen
    assert [learning_rate(step, 10, 0.4, 4, 0.0) for step in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_warm_up_multiplies_the_decay_and_does_not_delay_it():
    assert learning_rate(1, 4, 1.0, 4, 1.0) == pytest.approx(0.5 * 0.75)


def test_default_warm_up_is_a_twentieth_of_the_run_and_at_most_a_thousand_steps():
    assert [default_warmup(total) for total in (10, 60, 5520, 10**6)] == [0, 3, 276, 1000]
