"""Sum over images how far one network's tensor is from another's, in constant memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


class TensorError:
    """One tensor x of a network against the tensor y that should equal it, image by image.

    Attributes:
        low, high: smallest and largest of x; inf and -inf before the first image and for integers.
        shape_differs: whether x and y had different shapes on an image; then nothing else counts.
    """

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.shape_differs = False
        self._elements = self._unequal = 0  # of integers
        self._error = self._energy = self._product = self._own = 0.0  # of floats

    def add(self, x: NDArray[Any], y: NDArray[Any]) -> None:
        """Count one image."""
        if x.shape != y.shape:
            self.shape_differs = True
        elif x.dtype.kind in "iu":
            self._elements += x.size
            self._unequal += int(np.count_nonzero(x != y))
        elif x.size:
            self._add_floats(x.ravel().astype(np.float64), y.ravel().astype(np.float64))
            self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))

    def _add_floats(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            difference = y - x
            self._error += float(difference @ difference)
            self._product += float(x @ y)
            self._own += float(y @ y)
        self._energy += float(x @ x)

    @property
    def relative(self) -> float:
        """RMS of y - x over the RMS of x; of integers the share that differs; inf where y is not finite."""
        if self.shape_differs or not math.isfinite(self._error):
            return math.inf
        if self._elements:
            return self._unequal / self._elements
        if self._error == 0:
            return 0.0
        return math.sqrt(self._error / self._energy) if self._energy else math.inf

    @property
    def factor(self) -> float:
        """The f that makes f x closest to y; nan where that is not known."""
        known = self._energy and math.isfinite(self._product)
        return self._product / self._energy if known else math.nan

    @property
    def residual(self) -> float:
        """RMS of y - f x over that of y: small where y is x times one number."""
        if not self._own or not self._energy or not math.isfinite(self._own):
            return math.inf
        return math.sqrt(max(0.0, 1 - self._product**2 / (self._energy * self._own)))
