"""Races: who is surely slower gets no more rounds."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.choice.race import MOST_ROUNDS, leader, race, slowdown, surely_slower, time_in_turns
from fcn_deploy.errors import RunnerError
from tests.support.scripted_runners import Scripted

BATCHES = [np.zeros((1, 4, 5, 3), np.uint8)]


def test_the_slow_one_stops_after_the_first_rounds_and_equal_ones_go_on():
    runners = {"a": Scripted("a", [300, 303, 306]), "b": Scripted("b", [300, 306, 303]), "slow": Scripted("s", [600])}
    times = race(runners, BATCHES)
    assert {name: len(found) for name, found in times.items()} == {"a": 150, "b": 150, "slow": 10}
    assert sum((10, 20, 40, 80)) == 150 < MOST_ROUNDS


def test_a_race_with_one_left_ends_at_once():
    times = race({"a": Scripted("a", [300]), "b": Scripted("b", [900])}, BATCHES)
    assert [len(found) for found in times.values()] == [10, 10]
    assert leader(times) == "a"
    assert surely_slower(slowdown(times, "b", "a"))
    assert slowdown(times, "b", "a").value == pytest.approx(3)


def test_who_was_left_behind_does_not_lead_by_its_few_rounds():
    assert leader({"a": [10, 11, 12], "lucky": [5]}) == "a"


def test_one_per_cent_is_no_difference():
    times = {"a": [1000] * 40, "b": [1009] * 40}
    assert not surely_slower(slowdown(times, "b", "a"))


def test_a_runner_that_fails_ends_the_race():
    with pytest.raises(RunnerError, match="ran out of memory"):
        time_in_turns({"a": Scripted("a", [300], fail_at=4)}, BATCHES, 10)
