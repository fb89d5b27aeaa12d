"""Collect a histogram of one tensor's values in constant memory, and choose the range to quantise them in.

The bins of |x| double in width when a larger value comes: widths are powers of two, so merging pairs of bins is
exact, the order of the images does not matter and one pass is enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.vocabulary import Method

PERCENTILE = 99.99
BINS = 4096
_CHUNK = 1 << 18  # values a step: they stay in the cache, and no copy of the tensor is made
_STRIDE = 16  # bins between two thresholds that entropy and mse try


@dataclass
class Histogram:
    """Counts of |x| in bins [k * width, (k + 1) * width), zeros apart.

    Attributes:
        low, high: smallest and largest value, exact.
        counts: int64[BINS], of values other than 0.
        width: a power of two; 0 before the first value other than 0.
        zeros: how many values are exactly 0.
    """

    low: float = 0.0
    high: float = 0.0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    width: float = 0.0
    zeros: int = 0

    @property
    def largest(self) -> float:
        """Largest |x|."""
        return max(-self.low, self.high)

    @property
    def total(self) -> int:
        return int(self.counts.sum()) + self.zeros

    def add(self, values: NDArray[np.float32]) -> None:
        """Count every value of an array of any shape.

        Raises:
            ValueError: one is NaN or infinite.
        """
        flat = values.reshape(-1)
        low, high = float(flat.min()), float(flat.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise ValueError("a value is NaN or infinite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen()
        for start in range(0, flat.size, _CHUNK):
            self._count(flat[start : start + _CHUNK])

    def share_outside(self, low: float, high: float) -> float:
        """Return share of the values whose magnitude is beyond both ends, so that quantising clips them."""
        edge = max(-low, high)
        if self.width == 0 or edge >= self.largest:
            return 0.0
        return float(self.counts[int(edge / self.width) :].sum()) / self.total

    def _widen(self) -> None:
        if self.largest <= self.width * BINS:
            return
        # frexp: largest <= 2**exponent.
        wanted = math.ldexp(1.0, math.frexp(self.largest)[1]) / BINS
        if self.width > 0:
            merged = self.counts.reshape(-1, min(BINS, round(wanted / self.width))).sum(1)
            self.counts = np.zeros(BINS, np.int64)
            self.counts[: merged.size] = merged
        self.width = wanted

    def _count(self, chunk: NDArray[np.float32]) -> None:
        nonzero = int(np.count_nonzero(chunk))
        self.zeros += chunk.size - nonzero
        if nonzero:
            bins = np.minimum((np.abs(chunk) * np.float32(1 / self.width)).astype(np.int32), BINS - 1)
            self.counts += np.bincount(bins, minlength=BINS)
            self.counts[0] -= chunk.size - nonzero


def choose_range(
    histogram: Histogram, method: Method, *, symmetric: bool, percentile: float = PERCENTILE
) -> tuple[float, float]:
    """Choose the range that 8 bits should cover: (low, high), low <= 0 <= high.

    Args:
        symmetric: for int8 in -127..127; otherwise uint8 in 0..255, and a side without values costs no levels.
        percentile: share of the values other than 0, in percent, that must not be clipped ("percentile").
    """
    one_sided = histogram.low >= 0 or histogram.high <= 0
    threshold = histogram.largest
    if threshold > 0 and method != "minmax":
        levels = 255 if one_sided and not symmetric else 127
        threshold = min(threshold, _threshold(histogram, method, levels, percentile))
    if symmetric:
        return -threshold, threshold
    return max(histogram.low, -threshold), min(histogram.high, threshold)


def _threshold(histogram: Histogram, method: Method, levels: int, percentile: float) -> float:
    if method == "percentile":
        return _percentile(histogram, percentile)
    used = int(np.flatnonzero(histogram.counts)[-1]) + 1
    candidates = [*range(levels + 1, used, _STRIDE), used]
    cost = _divergence if method == "entropy" else _squared_error
    costs = [cost(histogram, bins, levels) for bins in candidates]
    best: int = candidates[int(np.argmin(costs))]
    return best * histogram.width


def _percentile(histogram: Histogram, percentile: float) -> float:
    """Return the upper end of the bin in which the percentile of |x| lies; zeros, exact at any scale, are left out."""
    below = np.cumsum(histogram.counts)
    return (int(np.searchsorted(below, percentile / 100 * below[-1])) + 1) * histogram.width


def _divergence(histogram: Histogram, bins: int, levels: int) -> float:
    """Return Kullback-Leibler divergence of the distribution clipped at `bins` from its `levels + 1` quantised levels.

    Source: S. Migacz, 8-bit inference with TensorRT, GTC 2017. Zeros are exact at any scale and left out.
    """
    kept = histogram.counts[:bins].astype(np.float64)
    clipped = kept.copy()
    clipped[-1] += histogram.counts[bins:].sum()
    starts = np.arange(levels + 1) * bins // (levels + 1)
    sizes = np.diff(np.append(starts, bins))
    occupied = clipped > 0
    mass = np.add.reduceat(kept, starts)
    filled = np.maximum(np.add.reduceat(occupied.astype(np.float64), starts), 1)
    quantised = np.repeat(mass / filled, sizes)[occupied]
    p = clipped[occupied] / clipped.sum()
    q = np.maximum(quantised / max(quantised.sum(), 1.0), 1e-12)
    return float((p * np.log(p / q)).sum())


def _squared_error(histogram: Histogram, bins: int, levels: int) -> float:
    """Return the mean squared error, up to a constant, of rounding to `levels` steps and clipping at `bins`."""
    step = bins / levels
    centres = np.arange(BINS) + 0.5
    rounded = np.minimum(np.round(centres / step), levels) * step
    return float((histogram.counts * (centres - rounded) ** 2).sum())
