"""Paint an image and its label map together: both show what is painted last."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Canvas:
    """float32[H, W, 3] of 0..1 and uint8[H, W], both zero at first.

    Coordinates are rows and columns of the top left corner, and may lie outside: what does not fit is cut off.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        self.rng, self.height, self.width = rng, height, width
        self.image: Floats = np.zeros((height, width, 3), np.float32)
        self.label: NDArray[np.uint8] = np.zeros((height, width), np.uint8)

    def paint(self, top: int, left: int, mask: Mask, colour: Floats, label: int) -> None:
        """Put `colour`, float32[3] or [h, w, 3], and `label` where bool[h, w] `mask` is true."""
        rows = slice(max(0, -top), min(mask.shape[0], self.height - top))
        columns = slice(max(0, -left), min(mask.shape[1], self.width - left))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        inside = mask[rows, columns]
        where = (slice(top + rows.start, top + rows.stop), slice(left + columns.start, left + columns.stop))
        self.label[where][inside] = label
        self.image[where][inside] = colour if colour.ndim == 1 else colour[rows, columns][inside]

    def box(self, top: int, left: int, height: int, width: int, colour: Floats, label: int) -> None:
        """Paint a filled rectangle."""
        self.paint(top, left, np.ones((max(height, 0), max(width, 0)), bool), colour, label)

    def textured(self, height: int, width: int, colour: Floats, grain: float, contrast: float) -> Floats:
        """Return float32[height, width, 3]: `colour` with light and dark patches of about `grain` pixels."""
        patches = smooth_noise(self.rng, height, width, grain)
        return np.clip(colour * (1 + contrast * patches[:, :, None]), 0, 1)


def smooth_noise(rng: np.random.Generator, height: int, width: int, grain: float) -> Floats:
    """Return float32[height, width] of -1..1: random values `grain` pixels apart, interpolated bilinearly.

    Elementwise throughout: a matrix product would round differently from one processor to the next.
    """
    row, down = _knots(height, grain)
    column, right = _knots(width, grain)
    values = rng.random((row[-1] + 2, column[-1] + 2), np.float32) * 2 - 1
    wide = values[:, column] * (1 - right) + values[:, column + 1] * right
    return np.asarray(wide[row] * (1 - down[:, None]) + wide[row + 1] * down[:, None])


@lru_cache(maxsize=256)
def _knots(length: int, grain: float) -> tuple[NDArray[np.intp], Floats]:
    """Return each pixel's knot before it, and how far it is on the way to the next (0..1)."""
    positions = np.arange(length, dtype=np.float32) / np.float32(grain)
    before = positions.astype(np.intp)
    return before, positions - before.astype(np.float32)


def disc(diameter: int) -> Mask:
    """Return bool[diameter, diameter], true inside the circle."""
    offset = np.arange(diameter) - (diameter - 1) / 2
    return np.asarray(offset[:, None] ** 2 + offset**2 <= (diameter / 2) ** 2)


def triangle(side: int) -> Mask:
    """Return bool[side, side], the point up."""
    row, column = np.indices((side, side))
    return np.asarray(np.abs(column - (side - 1) / 2) <= (row + 1) / 2)
