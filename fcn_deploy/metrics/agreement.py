"""Count how far two runs of one network agree, pixel by pixel, without ground truth.

A label that flips where the reference itself hardly decided (a small margin between its two highest logits) is
rounding; one that flips at a large margin is a fault. So agreement is also counted by margin.

The margin's bins have edges in logits, set once, so that counts add over images and over runs: unless they are given
they are the 10 % and 50 % quantiles of the first image's margins. On later images a bin may hold another share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import ShapeError
from fcn_deploy.metrics.boundary import boundary_mask
from fcn_deploy.metrics.scores import Labels, check_labels

QUANTILES = (0.1, 0.5)


@dataclass(frozen=True)
class PixelShare:
    """Pixels that agree, of how many."""

    agreed: int = 0
    pixels: int = 0

    @property
    def fraction(self) -> float:
        """0..1; nan of no pixels."""
        return self.agreed / self.pixels if self.pixels else float("nan")

    def __add__(self, other: PixelShare) -> PixelShare:
        return PixelShare(self.agreed + other.agreed, self.pixels + other.pixels)

    def __sub__(self, other: PixelShare) -> PixelShare:
        return PixelShare(self.agreed - other.agreed, self.pixels - other.pixels)


@dataclass(frozen=True)
class MarginBin:
    """Agreement where low <= reference margin < high, in logits."""

    low: float
    high: float
    share: PixelShare


class AgreementCounts:
    """Counts that grow image by image.

    Attributes:
        overall: every pixel.
        boundary: pixels within `radius` of a label change in the reference's labels.
        largest_margin: the largest reference margin at which the labels differ; None if they never did, or
            without margins.
    """

    def __init__(self, radius: int = 3, edges: Sequence[float] | None = None) -> None:
        self.radius = radius
        self.overall, self.boundary = PixelShare(), PixelShare()
        self.largest_margin: float | None = None
        self._edges: tuple[float, ...] | None = None if edges is None else tuple(sorted(edges))
        self._below: list[PixelShare] = []  # agreement at margins below each edge, and below infinity

    @property
    def interior(self) -> PixelShare:
        """Pixels farther than `radius` from any label change in the reference's labels."""
        return self.overall - self.boundary

    @property
    def by_margin(self) -> tuple[MarginBin, ...]:
        """Agreement from the least to the most decided pixels; empty as long as no margins were given."""
        if self._edges is None or not self._below:
            return ()
        lows, highs = (0.0, *self._edges), (*self._edges, float("inf"))
        before = [PixelShare(), *self._below[:-1]]
        return tuple(
            MarginBin(low, high, upto - less)
            for low, high, upto, less in zip(lows, highs, self._below, before, strict=True)
        )

    def update(self, reference: Labels, other: Labels, margins: NDArray[Any] | None = None) -> None:
        """Count one image or a batch.

        Args:
            reference: integer[H, W] or [N, H, W] labels.
            other: labels of the same shape.
            margins: float of the same shape, the reference's `logit_margin`; on every update or on none.

        Raises:
            ShapeError: the shapes differ, or the labels are not integers.
        """
        check_labels(reference, other)
        if margins is not None and margins.shape != reference.shape:
            raise ShapeError(f"margins are {margins.shape}; expected the shape of the labels, {reference.shape}")
        differs = reference != other
        near = boundary_mask(reference, self.radius)
        self.overall += _share(differs.size, int(np.count_nonzero(differs)))
        self.boundary += _share(int(np.count_nonzero(near)), int(np.count_nonzero(differs & near)))
        if margins is not None:
            self._count_margins(margins, margins[differs])

    def _count_margins(self, margins: NDArray[Any], differing: NDArray[Any]) -> None:
        if self._edges is None:
            finite = margins[np.isfinite(margins)]
            self._edges = tuple(float(edge) for edge in np.quantile(finite, QUANTILES)) if finite.size else (0.0, 0.0)
        below = [_share(_count_below(margins, edge), _count_below(differing, edge)) for edge in self._edges]
        below.append(_share(margins.size, differing.size))
        self._below = [old + new for old, new in zip(self._below or [PixelShare()] * len(below), below, strict=True)]
        if differing.size:
            largest = float(differing.max())
            self.largest_margin = largest if self.largest_margin is None else max(self.largest_margin, largest)


def logit_margin(logits: NDArray[Any]) -> NDArray[Any]:
    """Return highest minus second highest logit of each pixel: float[N, C, H, W] -> float[N, H, W].

    inf for a single class, whose label nothing can change.
    """
    if logits.ndim != 4:
        raise ShapeError(f"logits are {logits.shape}; expected N x C x H x W")
    first = logits[:, 0]
    second = np.full_like(first, -np.inf)
    for channel in range(1, logits.shape[1]):
        second = np.maximum(second, np.minimum(first, logits[:, channel]))
        first = np.maximum(first, logits[:, channel])
    return np.asarray(first - second)


def _share(pixels: int, differing: int) -> PixelShare:
    return PixelShare(pixels - differing, pixels)


def _count_below(margins: NDArray[Any], edge: float) -> int:
    return int(np.count_nonzero(margins < edge))
