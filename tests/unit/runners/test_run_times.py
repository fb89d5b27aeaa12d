from __future__ import annotations

import re

import pytest

from fcn_deploy.runners import run_times
from fcn_deploy.runners.run_times import RunTimes

A, B = (1, 8, 8), (1, 9, 9)


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(run_times.time, "perf_counter", lambda: now[0])
    return now


def run(times: RunTimes, clock: list[float], shape: tuple[int, int, int], seconds: float) -> None:
    with times.timed(shape):
        clock[0] += seconds


def test_the_first_run_of_each_shape_is_reported_and_no_later_one(clock):
    times = RunTimes()
    assert times.remark == ()
    for seconds in (0.4, 0.1):
        run(times, clock, A, seconds)
    assert times.remark == ("the first run of a shape chooses kernels: 0.40 s for 1 shape",)
    run(times, clock, B, 1.5)
    assert re.search(r"0\.40 to 1\.50 s for 2 shapes", times.remark[0])


def test_later_runs_repay_opening_and_the_first_run_of_their_own_shape(clock):
    times = RunTimes(opening_s=1.0)
    assert not times.repaid(A)
    run(times, clock, A, 0.5)
    run(times, clock, B, 9.0)
    for _ in range(5):
        assert not times.repaid(A)
        run(times, clock, A, 0.3)
    assert times.repaid(A)
    assert not times.repaid(B)


def test_a_run_that_fails_does_not_count():
    times = RunTimes()
    with pytest.raises(ValueError, match="no"), times.timed(A):
        raise ValueError("no")
    assert times.remark == ()


def test_sizes_without_number_are_forgotten_and_their_costs_are_not(clock, monkeypatch):
    monkeypatch.setattr(run_times, "MOST_COUNTED", 10)
    times = RunTimes()
    for side in range(1, 36):
        run(times, clock, (1, side, side), side / 10)
    assert len(times._first) <= 10
    assert times.remark[0].endswith("0.10 to 3.50 s for 35 shapes")
