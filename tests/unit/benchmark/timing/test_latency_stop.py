"""When timing stops: once every median is known, or at its ceiling."""

from __future__ import annotations

import numpy as np

from fcn_deploy.benchmark.timing.latency import ROUNDS_TO_STOP, Budget, measure
from tests.support.scripted_runners import Scripted

IMAGE = np.zeros((1, 33, 47, 3), np.uint8)
TALL = np.zeros((1, 47, 33, 3), np.uint8)


def test_timing_stops_once_every_median_is_known(monkeypatch):
    monkeypatch.setattr("fcn_deploy.benchmark.timing.latency.SECONDS_TO_STOP", 0)
    steady, livelier = Scripted("steady", [5.0]), Scripted("livelier", [4.9, 5.0, 5.1])
    rounds, samples = measure([steady, livelier], [IMAGE], Budget(iterations=500, warmup=0, settle_ms=0))
    assert len(rounds) == ROUNDS_TO_STOP == 100
    assert [len(sample.timings) for sample in samples] == [100, 100]


def test_timing_goes_on_to_its_ceiling_for_one_whose_median_is_not_known(monkeypatch):
    monkeypatch.setattr("fcn_deploy.benchmark.timing.latency.SECONDS_TO_STOP", 0)
    noisy = Scripted("noisy", np.random.default_rng(1).uniform(2, 10, 1000))
    budget = Budget(iterations=250, warmup=0, settle_ms=0)
    assert len(measure([Scripted("steady", [5.0]), noisy], [IMAGE], budget)[0]) == 250
    assert len(measure([Scripted("steady", [5.0])], [IMAGE], Budget(250, warmup=0, tolerance=None))[0]) == 250


def test_timing_does_not_stop_before_two_seconds_or_with_a_size_that_was_hardly_met(monkeypatch):
    budget = Budget(iterations=150, warmup=0, settle_ms=0)
    assert len(measure([Scripted("steady", [5.0])], [IMAGE], budget)[0]) == 150
    monkeypatch.setattr("fcn_deploy.benchmark.timing.latency.SECONDS_TO_STOP", 0)
    many = [IMAGE] * 40 + [TALL]  # the tall one three times in 150
    assert len(measure([Scripted("steady", [5.0])], many, budget)[0]) == 150
