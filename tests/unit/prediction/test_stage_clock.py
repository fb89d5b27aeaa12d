from __future__ import annotations

import time

import pytest

from fcn_deploy.prediction.stage_clock import DECODING, INFERENCE, WRITING, StageClock, bound


def test_time_counts_for_the_stage_that_was_waited_for_also_when_it_fails():
    clock = StageClock()
    assert clock.wait(INFERENCE, lambda: time.sleep(0.02) or 7) == 7
    with pytest.raises(ZeroDivisionError):
        clock.wait(INFERENCE, lambda: time.sleep(0.02) or 1 // 0)
    shares = clock.shares(0.1)
    assert shares.pop(INFERENCE) >= 0.4
    assert set(shares.values()) == {0}


def test_waits_for_workers_are_divided_as_their_time_is():
    clock = StageClock()
    clock.wait(DECODING, lambda: time.sleep(0.03))
    clock.wait(WRITING, lambda: time.sleep(0.01))
    clock.add_work(DECODING, 1)
    clock.add_work(WRITING, 3)
    shares = clock.shares(0.04)
    assert shares[WRITING] == pytest.approx(3 * shares[DECODING])
    assert shares[DECODING] + shares[WRITING] >= 1


def test_a_run_that_waits_for_no_stage_is_bound_by_passing_images_on():
    assert bound({"decoding": 0.3, "inference": 0.2, "writing": 0.1}) == "passing images on"
    assert bound({"decoding": 0.1, "inference": 0.2, "writing": 0.5}) == "writing"
