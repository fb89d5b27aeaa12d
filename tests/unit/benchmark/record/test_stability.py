from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.benchmark.record.stability import is_known, median_interval, relative_times, stability


def bursts(generator: np.random.Generator, count: int, repeats: float) -> np.ndarray:
    """Samples of median 0, each of which keeps the share `repeats` of the one before it."""
    values = generator.normal(size=count + 50)
    for index in range(1, len(values)):
        values[index] = repeats * values[index - 1] + np.sqrt(1 - repeats**2) * values[index]
    return values[50:]


@pytest.mark.parametrize(("repeats", "least"), [(0.0, 0.93), (0.6, 0.90)])
def test_the_interval_holds_the_true_median_as_often_as_it_says_also_where_times_come_in_bursts(repeats, least):
    generator = np.random.default_rng(5)
    intervals = [median_interval(bursts(generator, 200, repeats)) for _ in range(400)]
    held = np.mean([low <= 0 <= high for low, high in intervals])
    # 95 % less what 400 trials scatter; samples taken for independent would hold it 77 times in 100 with bursts
    assert held >= least


def test_of_ten_samples_the_interval_goes_from_the_second_to_the_second_last():
    # ranks 5 -+ 1.96 sqrt(10) / 2 = 1.9 and 8.1, outward, from 0: binomial(10, 1/2) leaves 1.1 % on each side
    values = np.array([3, 1, 9, 5, 7, 2, 8, 0, 6, 4], float)
    assert median_interval(values) == (1.0, 9.0)


def test_of_three_samples_nothing_is_known_but_their_range():
    assert median_interval(np.array([3.0, 1.0, 2.0])) == (1.0, 3.0)


def test_steady_times_give_no_reason_to_doubt_them():
    found = stability(np.random.default_rng(0).normal(5.0, 0.05, 200))
    assert found.reasons == ()
    assert found.uncertainty < 0.01
    assert abs(found.spread - 1.349 * 0.01) < 0.003  # the quartiles of a normal lie 1.349 sigma apart


def test_noisy_times_are_unstable_however_many_there_are():
    found = stability(np.random.default_rng(0).uniform(2.0, 10.0, 5000))
    assert found.uncertainty < 0.05
    assert found.reasons == (f"half of the rounds lie {100 * found.spread:.0f} % of the median apart",)
    assert 0.6 < found.spread < 0.72  # half of 2 .. 10 is 4 wide, the median is 6


def test_a_few_rounds_with_an_outlier_say_how_little_is_known():
    assert stability([5.0, 6.0, 5.0, 5.0]).reasons == ("the median is known to ± 20 % only",)


def test_halves_that_differ_are_reported_with_their_direction():
    slower, faster = [5.0] * 50 + [6.0] * 50, [6.0] * 50 + [5.0] * 50
    assert "the second half of the rounds took 20 % more time than the first" in stability(slower).reasons
    assert "the second half of the rounds took 17 % less time than the first" in stability(faster).reasons


def test_two_image_sizes_are_no_noise():
    times, shapes = [5.0, 50.0] * 20, [0, 1] * 20
    assert stability(times, shapes).reasons == ()
    assert stability(times).reasons != ()
    assert relative_times(np.array([4.0, 6.0, 50.0]), [0, 0, 1]).tolist() == []


def test_sizes_met_a_few_times_only_are_not_judged():
    assert stability([5.0, 50.0, 500.0], [0, 1, 2]) is None
    assert not is_known([5.0, 50.0, 500.0], [0, 1, 2], 0.01)


def test_a_slow_drift_keeps_the_median_from_being_known():
    rising = np.linspace(5.0, 5.5, 800) + np.random.default_rng(2).normal(0, 0.01, 800)
    assert not is_known(list(rising), [0] * 800, 0.01)
    assert is_known(list(np.random.default_rng(2).permutation(rising)), [0] * 800, 0.01)
