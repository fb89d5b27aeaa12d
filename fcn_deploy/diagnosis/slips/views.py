"""Choose the part of a large label map that is compared while many slips are tried, and crop what the network needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.diagnosis.slips.slip import ForeignFrame

MOST_PIXELS = 200_000  # of an image that is run whole whatever is tried
SIDE = 256  # of a window, in pixels of the label map
CONTEXT = 64  # pixels around a window that the network gets as well
ALIGNED = 32  # crops begin at multiples of it, which is the stride of the deepest layer of an FCN
_STEP = 64
_SAMPLED = 4  # every so many-th row and column is counted

Slices = tuple[slice, slice]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class FrameView:
    """A frame, or a window of it: top, left, bottom and right as shares of the label map's height and width."""

    frame: ForeignFrame
    window: Box | None = None

    def part(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return the window's part of a map [h, w] of any size."""
        return labels if self.window is None else labels[_inside(self.window, labels.shape)]

    def crop(self, size: tuple[int, int]) -> tuple[Slices, Slices]:
        """Return what to cut out of an image of this size for the network, and what of that is the window."""
        if self.window is None:
            return (slice(None), slice(None)), (slice(None), slice(None))
        inner = _inside(self.window, size)
        outer = [
            slice(
                max(0, part.start - CONTEXT) // ALIGNED * ALIGNED,
                min(length, -(-(part.stop + CONTEXT) // ALIGNED) * ALIGNED),
            )
            for part, length in zip(inner, size, strict=True)
        ]
        within = [slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)]
        return (outer[0], outer[1]), (within[0], within[1])


def view_of(frame: ForeignFrame) -> FrameView:
    """Return the frame if it is small, else the window of its label map in which the labels vary most."""
    height, width = frame.labels.shape
    if frame.image.shape[0] * frame.image.shape[1] <= MOST_PIXELS or min(height, width) < 2 * SIDE:
        return FrameView(frame)
    corners = [(top, left) for top in range(0, height - SIDE + 1, _STEP) for left in range(0, width - SIDE + 1, _STEP)]
    top, left = max(corners, key=lambda corner: _variety(frame.labels, *corner))
    return FrameView(frame, (top / height, left / width, (top + SIDE) / height, (left + SIDE) / width))


def _variety(labels: NDArray[Any], top: int, left: int) -> float:
    """Return the entropy of the labels in a window."""
    seen = labels[top : top + SIDE : _SAMPLED, left : left + SIDE : _SAMPLED]
    shares = np.unique(seen, return_counts=True)[1] / seen.size
    return float(-(shares * np.log(shares)).sum())


def _inside(window: Box, size: tuple[int, ...]) -> Slices:
    """Return the window's rows and columns in a map of this size, at least one each."""
    top, left, bottom, right = window
    rows, columns = (
        (round(low * n), round(high * n)) for low, high, n in ((top, bottom, size[0]), (left, right, size[1]))
    )
    return _slice(*rows, size[0]), _slice(*columns, size[1])


def _slice(low: int, high: int, length: int) -> slice:
    low = min(low, length - 1)
    return slice(low, max(low + 1, high))
