"""Decide how much longer one series of times is than another, and whether chance explains it.

Times of one run depend on their neighbours: a clock steps down, another process wakes up, a page cache fills. A test
that takes them as independent finds differences between identical runners. So each series is cut into ten blocks of
neighbours and the logarithms of the blocks' medians are compared with Welch's t-test: batch means (Schmeiser, "Batch
size effects in the analysis of simulation output", Operations Research 30, 1982) with medians, which single slow rounds
do not move, in place of means. Where the blocks still depend on each other, the variance and the degrees of freedom
are those of the number of independent blocks that they are worth, (1 - r) / (1 + r) of them for a first
autocorrelation r (Bayley, Hammersley, "The effective number of independent observations in an autocorrelated time
series", Supplement to the Journal of the Royal Statistical Society 8, 1946).

Two runners of one program in one process differ by up to 1 %, for good and not by chance: their arrays lie elsewhere in
memory (`python -m benchmarks verdicts`). So times within 1 % of each other are called equal, whatever their intervals.

What no test on two runs can see is how runs differ from each other as wholes (where memory lay, what else the machine
did that hour; Kalibera, Jones, "Rigorous benchmarking in reasonable time", ISMM 2013). A limit on the slowdown has to
lie above that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.metrics.student import quantile

Times = NDArray[Any]
BLOCKS = 10
MIN_ROUNDS = 8
SAME = 0.01  # a change of less is no difference between programs


@dataclass(frozen=True)
class Ratio:
    """A time divided by another, with its 95 % interval; without one there were fewer than 8 rounds on a side."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def longer(self) -> bool:
        """Whether it is more than 1 by more than chance, and by more than two runners of one program differ."""
        return self.low is not None and self.low > 1 and self.value > 1 + SAME

    @property
    def shorter(self) -> bool:
        return self.high is not None and self.high < 1 and self.value < 1 / (1 + SAME)


def ratio(before: Times, after: Times) -> Ratio:
    """Divide the median of `after` by that of `before`: two runs, float[rounds] each, in the order of the rounds."""
    first, second = _logarithms(before), _logarithms(after)
    value = math.exp(float(np.median(second) - np.median(first)))
    if min(len(first), len(second)) < MIN_ROUNDS:
        return Ratio(value)
    (one, one_freedom), (two, two_freedom) = _variance(first), _variance(second)
    # Welch and Satterthwaite's degrees of freedom
    parts = one**2 / one_freedom + two**2 / two_freedom
    return _interval(value, one + two, (one + two) ** 2 / parts if parts else one_freedom + two_freedom)


def paired_ratio(before: Times, after: Times) -> Ratio:
    """Return the median over rounds of after / before: runners that took turns, so what slowed a round slowed both."""
    quotients = _logarithms(after) - _logarithms(before)
    value = math.exp(float(np.median(quotients)))
    if len(quotients) < MIN_ROUNDS:
        return Ratio(value)
    return _interval(value, *_variance(quotients))


def _logarithms(times: Times) -> NDArray[np.float64]:
    """Return logarithms; a time of 0, which a coarse clock gives, counts as 1e-9."""
    return np.asarray(np.log(np.maximum(np.asarray(times, np.float64), 1e-9)))


def _variance(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the variance of the median of a series, and the degrees of freedom behind it."""
    blocks = min(BLOCKS, len(values) // 2)
    medians = np.array([np.median(block) for block in np.array_split(values, blocks)])
    worth = _independent_share(medians - medians.mean())
    freedom = max(1.0, blocks * worth - 1)
    return float(medians.var(ddof=1)) / (blocks * worth), freedom


def _independent_share(deviations: NDArray[np.float64]) -> float:
    """Return (1 - r) / (1 + r); the estimate of r is too low by about 1 / blocks, and a negative one gains nothing."""
    total = float((deviations**2).sum())
    if total == 0:
        return 1.0
    lagged = float((deviations[1:] * deviations[:-1]).sum()) / total + 1 / len(deviations)
    correlation = min(max(lagged, 0.0), 0.9)
    return (1 - correlation) / (1 + correlation)


def _interval(value: float, variance: float, freedom: float) -> Ratio:
    spread = math.exp(quantile(freedom) * math.sqrt(variance))
    return Ratio(value, value / spread, value * spread)
