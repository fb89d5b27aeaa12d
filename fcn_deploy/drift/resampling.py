"""Measure how far two sets of images of one kind are apart, by drawing both from the calibration set.

Images of one set are often neighbours: frames of a video, photographs of one street. Drawn one by one they would look
more alike than such sets are, and every other street would be an alarm. So runs of neighbours are drawn: the circular
block bootstrap of Politis and Romano, "A circular block-resampling procedure for stationary data", 1992.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
# A run is a quarter of the calibration set at most, so that a draw of as many images mixes four of them.
PARTS = 4
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """K shares of a set of I images, as counts that add over images.

    Attributes:
        part, whole: float64[I, K]; the share of the set is the sum of the parts over the sum of the wholes.
    """

    part: Values
    whole: Values

    def share(self) -> Values:
        """Return float64[K] over all images; 0 of nothing."""
        return _ratio(self.part.sum(axis=0), self.whole.sum(axis=0))

    def drawn(self, weights: Values) -> Values:
        """Return float64[draws, K] from float64[draws, I], how often each draw has each image."""
        return _ratio(weights @ self.part, weights @ self.whole)


def differences(counts: Counts, size: int, scale: Callable[[Values], Values], *, seed: int = 0) -> Values:
    """Draw two sets from the images of `counts` and return float64[draws, K], the first's figures less the second's.

    Args:
        size: images of the first set; the second has as many as `counts` has.
        scale: turns shares into what is compared, such as their logarithms.
    """
    images = len(counts.part)
    generator = np.random.default_rng(seed)
    block = max(1, min(size, images // PARTS))
    first, second = (block_weights(images, drawn, block, generator) for drawn in (size, images))
    return scale(counts.drawn(first)) - scale(counts.drawn(second))


def block_weights(images: int, size: int, block: int, generator: np.random.Generator, draws: int = DRAWS) -> Values:
    """Return float64[draws, images]: how often each draw of `size` images, in runs of `block`, has each image."""
    runs = -(-size // block)
    starts = generator.integers(0, images, (draws, runs, 1))
    chosen = ((starts + np.arange(block)) % images).reshape(draws, -1)[:, :size]
    rows = np.arange(draws)[:, None] * images
    return np.bincount((rows + chosen).reshape(-1), minlength=draws * images).reshape(draws, images).astype(np.float64)


def limits(drawn: Values, level: float, smallest: Values | float) -> Values:
    """Return float64[K]: how far each figure may be off so that in `level` of the draws none of the K is farther.

    Figures of other spreads share one limit in units of their spread over the draws ("max-T"): Westfall and Young,
    "Resampling-based multiple testing", 1993.

    Args:
        drawn: float64[draws, K]; negative ones count as 0 where only more is worse, so pass them clipped.
        smallest: the least spread that a figure is taken to have, in its own units.
    """
    if drawn.shape[1] == 0:
        return np.zeros(0)
    spread = np.maximum(drawn.std(axis=0), smallest)
    return np.asarray(spread * np.quantile((np.abs(drawn) / spread).max(axis=1), level))


def _ratio(part: Values, whole: Values) -> Values:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
