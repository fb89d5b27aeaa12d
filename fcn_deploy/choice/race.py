"""Time candidates in turns, few rounds first, and stop timing those that are surely slower than the leader."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fcn_deploy.benchmark.baseline.significance import SAME, Ratio, paired_ratio
from fcn_deploy.benchmark.images import Image
from fcn_deploy.benchmark.timing.latency import Budget, measure
from fcn_deploy.benchmark.timing.timed_runner import TimedRunner
from fcn_deploy.choice.log import Times
from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.base import Runner
from fcn_deploy.system.progress import SILENT, Progress

FEW_ROUNDS = 10
MOST_ROUNDS = 160


def time_in_turns(
    runners: Mapping[str, Runner | TimedRunner],
    batches: Sequence[Image],
    rounds: int,
    progress: Progress = SILENT,
) -> Times:
    """Return nanoseconds of each round by name; all take their turn in each round.

    Raises:
        RunnerError: one of them fails.
    """
    budget = Budget(rounds, math.inf, warmup=2, tolerance=None, warmup_seconds=0.5)
    _, found = measure(list(runners.values()), batches, budget, progress)
    for sample in found:
        if sample.failure is not None:
            raise RunnerError(sample.failure)
    return {name: sample.total_ns for name, sample in zip(runners, found, strict=True)}


def median_ms(times: Sequence[int]) -> float:
    return float(np.median(times)) / 1e6


def leader(times: Times) -> str:
    """Return the name with the smallest median among those with the most rounds: the others were left behind."""
    most = max(map(len, times.values()))
    return min((name for name in times if len(times[name]) == most), key=lambda name: median_ms(times[name]))


def slowdown(times: Times, name: str, other: str) -> Ratio:
    """Return the time of `name` over that of `other`, in the rounds that both have, with its interval."""
    rounds = min(len(times[name]), len(times[other]))
    return paired_ratio(np.array(times[other][:rounds]), np.array(times[name][:rounds]))


def surely_slower(ratio: Ratio) -> bool:
    """Whether even the low end of the interval is slower by more than two runners of one program differ."""
    return ratio.low is not None and ratio.low > 1 + SAME


def race(runners: Mapping[str, Runner | TimedRunner], batches: Sequence[Image], progress: Progress = SILENT) -> Times:
    """Time `runners` with 10, 20, 40, 80 rounds more, leaving out who is surely slower than the leader.

    Returns:
        Nanoseconds of each round; who was left out has fewer rounds. It ends when one is left, or after 150 rounds.
    """
    times: Times = {name: [] for name in runners}
    running, rounds = dict(runners), FEW_ROUNDS
    while True:
        for name, found in time_in_turns(running, batches, rounds, progress).items():
            times[name] += found
        own = {name: times[name] for name in running}
        first = leader(own)
        running = {name: runner for name, runner in running.items() if not surely_slower(slowdown(own, name, first))}
        if len(running) == 1 or rounds >= MOST_ROUNDS // 2:
            return times
        rounds *= 2
