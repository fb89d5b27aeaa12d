"""The test of two series of times: how often identical runners compare as equal, and one 5 % slower is found.

The rates are those of simulated runs whose rounds depend on each other; the allowances are the binomial's.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from fcn_deploy.benchmark.baseline.significance import Ratio, paired_ratio, ratio
from fcn_deploy.benchmark.timing.machine import CpuClock, contended, other_cores
from fcn_deploy.benchmark.timing.timed_runner import InProcess
from tests.support.fake_runners import FakeRunner

RUNS = 400
Series = np.ndarray


def independent(generator: np.random.Generator, rounds: int) -> Series:
    return generator.normal(0, 0.03, rounds)


def bursts(generator: np.random.Generator, rounds: int) -> Series:
    """Half of what is in a round is still there in the next: an autoregressive series beside the noise."""
    return autoregressive(generator, rounds, 0.5) + 0.01 * generator.standard_normal(rounds)


def slow_waves(generator: np.random.Generator, rounds: int) -> Series:
    return autoregressive(generator, rounds, 0.9) + 0.01 * generator.standard_normal(rounds)


def spikes(generator: np.random.Generator, rounds: int) -> Series:
    """One round in ten takes a third longer on average."""
    return independent(generator, rounds) + (generator.random(rounds) < 0.1) * generator.exponential(0.3, rounds)


def autoregressive(generator: np.random.Generator, rounds: int, kept: float) -> Series:
    steps = generator.normal(0, 0.03 * np.sqrt(1 - kept**2), rounds)
    values = np.empty(rounds)
    value = generator.normal(0, 0.03)
    for index, step in enumerate(steps):
        value = kept * value + step
        values[index] = value
    return values


def times(kind, generator: np.random.Generator, rounds: int, slower: float = 1) -> Series:
    return 20 * slower * np.exp(kind(generator, rounds))


def rates(kind, rounds: int, seed: int = 0) -> tuple[float, float]:
    """Shares of 400 runs in which identical runners are equal, and in which one 5 % slower is found."""
    generator = np.random.default_rng(seed)
    equal = found = 0
    for _ in range(RUNS):
        before = times(kind, generator, rounds)
        again = ratio(before, times(kind, generator, rounds))
        equal += not (again.longer or again.shorter)
        found += ratio(before, times(kind, generator, rounds, slower=1.05)).longer
    return equal / RUNS, found / RUNS


@pytest.mark.parametrize(
    ("kind", "rounds", "power"),
    [
        (independent, 60, 0.95),
        (independent, 200, 0.97),
        (spikes, 60, 0.93),
        (spikes, 200, 0.97),
        (bursts, 60, 0.85),
        (bursts, 200, 0.95),
        (slow_waves, 200, 0.65),
        (slow_waves, 500, 0.90),
    ],
)
def test_identical_runners_are_equal_and_one_five_per_cent_slower_is_found(kind, rounds, power):
    """`power` is somewhat below what 2000 runs showed."""
    equal, found = rates(kind, rounds)
    assert equal >= 0.95 - 2 * (0.95 * 0.05 / RUNS) ** 0.5  # 0.928: a true 95 % is lower once in 40 times
    assert found >= power


def test_a_test_that_took_rounds_as_independent_would_fail_here():
    """What the blocks are for: Welch's t-test on all rounds calls half of the identical runners different."""
    generator = np.random.default_rng(1)
    different = 0
    for _ in range(200):
        before, after = (np.log(times(slow_waves, generator, 200)) for _ in range(2))
        error = (before.var(ddof=1) / 200 + after.var(ddof=1) / 200) ** 0.5
        different += abs(after.mean() - before.mean()) > 1.97 * error
    assert different / 200 > 0.4


def test_runners_that_took_turns_are_compared_round_by_round():
    """A machine that slows down by a half on the way hides nothing: both rows are slowed in the same rounds."""
    generator = np.random.default_rng(2)
    equal = found = 0
    for _ in range(RUNS):
        machine = np.exp(np.linspace(0, 0.4, 60) + autoregressive(generator, 60, 0.9))
        one, other = (machine * times(independent, generator, 60) for _ in range(2))
        again, slower = paired_ratio(one, other), paired_ratio(one, 1.05 * other)
        equal += not (again.longer or again.shorter)
        found += slower.longer
    assert equal / RUNS >= 0.928
    assert found / RUNS >= 0.95


def test_figures_by_hand():
    assert ratio(np.full(8, 40.0), np.full(9, 50.0)) == Ratio(*[pytest.approx(1.25)] * 3)
    assert paired_ratio(np.full(8, 40.0), np.full(8, 30.0)).shorter
    # medians 2 and 3; with 7 rounds there is no interval
    assert ratio(np.array([1, 2, 2, 2, 2, 2, 9]), np.array([3, 3, 3, 3, 1, 4, 4])) == Ratio(pytest.approx(1.5))
    assert not ratio(np.zeros(20), np.zeros(20)).longer


def test_the_order_of_what_is_compared_only_turns_the_ratio_over():
    generator = np.random.default_rng(3)
    one, other = times(bursts, generator, 50), times(bursts, generator, 70, slower=1.2)
    there, back = ratio(one, other), ratio(other, one)
    assert (1 / back.value, 1 / back.high, 1 / back.low) == pytest.approx((there.value, there.low, there.high))


def test_times_of_real_sleeps_are_distinguished():
    """Runners of 2 ms and 2.4 ms by the real clock, interleaved as `measure` does; sleeping is never short."""
    runners = [FakeRunner(str(index), sleep_s=seconds) for index, seconds in enumerate((0.002, 0.002, 0.0024))]
    image = np.zeros((1, 3, 5, 3), np.uint8)
    for _ in range(5):  # until the machine is quiet enough to sleep as long as asked for
        totals = np.array([[InProcess(runner).time(image).total_ns for runner in runners] for _ in range(240)])
        if np.median(totals[:, 1]) < 2.4e6:
            break
    assert paired_ratio(totals[:, 0], totals[:, 2]).longer
    assert ratio(totals[:, 0], totals[:, 1]).value < 1.1


def test_less_than_a_hundredth_is_no_difference_however_sure_it_is():
    before = np.full(60, 5e6)
    for factor, longer in ((1.009, False), (1.011, True)):
        assert ratio(before, factor * before).low > 1
        assert ratio(before, factor * before).longer is longer
        assert ratio(factor * before, before).shorter is longer
        assert paired_ratio(before, factor * before).longer is longer


class Working(FakeRunner):
    """Executes so many small matrix products."""

    products = 200
    matrix = np.ones((40, 40))

    def _execute(self) -> None:
        for _ in range(self.products):
            self.matrix @ self.matrix


@pytest.mark.long
def test_the_rates_hold_for_real_work():
    """40 runs of 60 rounds, runners in turn, one with 5 % more to do; by the thread's own clock, so that other work on
    the machine shows in caches and clocks alone."""
    runners = [Working(str(index)) for index in range(3)]
    runners[2].products = 210
    timed = [InProcess(runner, time.thread_time_ns) for runner in runners]
    image = np.zeros((1, 3, 5, 3), np.uint8)
    equal = found = 0
    start = CpuClock.read()
    for _ in range(40):
        totals = np.array([[one.time(image).total_ns for one in timed] for _ in range(60)])
        again, slower = paired_ratio(totals[:, 0], totals[:, 1]), paired_ratio(totals[:, 0], totals[:, 2])
        equal += not (again.longer or again.shorter)
        found += slower.longer
    others = other_cores(start, CpuClock.read())
    assert equal >= 34  # of 40 at 95 %: fewer once in 100 times
    if contended(others, 1, 1):
        pytest.skip(
            f"{found} of 40 found while others kept {others:.1f} cores busy; how many are is of a quiet machine"
        )
    assert found >= 34
