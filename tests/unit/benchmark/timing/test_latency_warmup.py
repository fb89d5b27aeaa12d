from __future__ import annotations

from fcn_deploy.benchmark.timing.latency import is_steady, warm_up
from tests.support.scripted_runners import MS

# allocates, tunes, and is steady from the fifth run on
RISING_CLOCKS = [80, 20, 9, 7, 5, 5, 5, 5, 5, 5, 5]


def runs(times_ms: list[float], calls: list[str], name: str):
    given = iter(times_ms)

    def run() -> int | None:
        calls.append(name)
        return int(next(given) * MS)

    return run


def test_three_runs_in_a_row_that_gain_nothing_are_the_end():
    assert not is_steady([80, 80, 80])
    assert not is_steady([80, 80, 80, 70])
    assert is_steady([80, 80, 80, 78])
    assert not is_steady(RISING_CLOCKS[:7])
    assert is_steady(RISING_CLOCKS[:8])


def test_each_is_warmed_up_until_it_is_steady_and_none_longer():
    calls: list[str] = []
    warm_up([runs(RISING_CLOCKS, calls, "a"), runs([5] * 9, calls, "b")], 3, [9.0, 9.0])
    assert (calls.count("a"), calls.count("b")) == (8, 4)
    assert calls[:4] == ["a", "b", "a", "b"]


def test_warming_up_ends_at_its_ceiling():
    calls: list[str] = []
    ceilings = [0.05]
    warm_up([runs([90, 80, 70, 60, 50, 40], calls, "a")], 3, ceilings)
    assert len(calls) == 4  # three that were asked for; the fourth took 60 of 50 ms
    assert ceilings[0] < 0


def test_no_warm_up_is_none_and_a_failed_runner_is_left_alone():
    calls: list[str] = []
    warm_up([runs([5] * 9, calls, "a")], 0, [9.0])
    warm_up([lambda: calls.append("failed")], 3, [9.0])  # type: ignore[list-item, func-returns-value]
    assert calls == ["failed"]
