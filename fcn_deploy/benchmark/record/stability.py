"""Estimate how precisely a run knows its median, and whether its conditions stayed the same.

The interval of the median is that of order statistics (David and Nagaraja, Order Statistics, 7.1): the number of
samples below the true median is binomial(n, 1/2). That holds for independent samples; times come in bursts, so n is
divided by how much the sign of (sample - median) repeats itself, 1 + 2 x the sum of its autocorrelations up to the
first that is not positive (Geyer's initial sequence).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z95 = 1.96
# With fewer rounds of a shape, its median is too uncertain to divide its samples by.
FEW = 6
# Halves of a run whose medians differ by more were not taken under the same conditions.
MAX_DRIFT = 0.10
# A median that is not known to within 5 % answers no question of a benchmark.
MAX_UNCERTAINTY = 0.05
# Half of the samples within a fifth of the median; a quiet machine shows 1 to 5 %.
MAX_SPREAD = 0.20


@dataclass(frozen=True)
class Stability:
    """How a row's times behaved, as shares of the median.

    Attributes:
        low, high: 95 % interval of the median (0.99, 1.02).
        spread: distance between the quartiles.
        drift: median of the second half over that of the first, minus 1.
    """

    low: float
    high: float
    spread: float
    drift: float

    @property
    def uncertainty(self) -> float:
        """How far the true median may be from the measured one."""
        return max(self.high - 1, 1 - self.low)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the row's times are not to be trusted, in words; () if they are."""
        found = []
        if abs(self.drift) > MAX_DRIFT:
            change = f"{100 * abs(self.drift):.0f} % {'more' if self.drift > 0 else 'less'}"
            found.append(f"the second half of the rounds took {change} time than the first")
        if self.uncertainty > MAX_UNCERTAINTY:
            found.append(f"the median is known to ± {100 * self.uncertainty:.0f} % only")
        if self.spread > MAX_SPREAD:
            found.append(f"half of the rounds lie {100 * self.spread:.0f} % of the median apart")
        return tuple(found)


def stability(samples: Sequence[float] | NDArray[np.float64], shapes: Sequence[int] | None = None) -> Stability | None:
    """Measure the stability of the times of some rounds, in any unit; None if no shape was timed often enough.

    Args:
        shapes: which shape each round had; a round's time counts as a share of its shape's median, and not at all
            where there are several shapes and this one was timed less than 6 times. None: all rounds have one shape.
    """
    relative = relative_times(np.asarray(samples, np.float64), shapes)
    if len(relative) == 0:
        return None
    low, high = median_interval(relative)
    quarter, three = np.percentile(relative, (25, 75))
    half = len(relative) // 2
    drift = float(np.median(relative[half:]) / np.median(relative[:half]) - 1) if half else 0.0
    return Stability(low, high, float(three - quarter), drift)


def relative_times(times: NDArray[np.float64], shapes: Sequence[int] | None = None) -> NDArray[np.float64]:
    """Return float64[rounds that count]: each time divided by the median of its shape."""
    index = np.zeros(len(times), np.int64) if shapes is None else np.asarray(shapes)
    medians = np.ones(len(times))
    counts = np.ones(len(times), bool)
    found = np.unique(index)
    for shape in found:
        own = index == shape
        medians[own] = np.median(times[own]) or 1.0
        counts[own] = len(found) == 1 or own.sum() >= FEW
    return np.asarray((times / medians)[counts], np.float64)


def median_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of the median; lowest and highest value where there are too few for one."""
    ordered = np.sort(values)
    effective = len(values) / _repetition(values)
    reach = Z95 * math.sqrt(effective) / 2 / effective * len(values)
    first = max(0, math.floor(len(values) / 2 - reach))
    last = min(len(values) - 1, math.ceil(len(values) / 2 + reach))
    return float(ordered[first]), float(ordered[last])


def _repetition(values: NDArray[np.float64]) -> float:
    """Return how many neighbouring samples are worth one independent one; at least 1."""
    signs = np.sign(values - np.median(values))
    power = float(signs @ signs)
    total = 0.0
    for lag in range(1, len(values) // 4):
        repeated = float(signs[lag:] @ signs[:-lag]) / power if power else 0.0
        if repeated <= 0:
            break
        total += repeated
    return 1 + 2 * total


def is_known(samples: Sequence[float], shapes: Sequence[int], tolerance: float) -> bool:
    """Whether the median is known to within `tolerance` of itself, every shape having been timed often enough."""
    if np.unique(np.asarray(shapes), return_counts=True)[1].min() < FEW:
        return False
    found = stability(samples, shapes)
    return found is not None and found.uncertainty <= tolerance
