"""Label an image of any size tile by tile: band by band for a writer; measure what a smaller halo changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import RunnerError
from fcn_deploy.system.formatting import duration
from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.tiling.plan import Axis, Plan
from fcn_deploy.tiling.windows import ImageWindows

# uint8[N, H, W, 3] RGB -> integers [N, H, W]
Infer = Callable[[NDArray[np.uint8]], NDArray[Any]]
ESTIMATE_AFTER_S = 2.0  # of tiles
LONG_S = 60.0  # from which the time that the tiles of an image take is reported
SAMPLE = 4  # exact tiles that are run to measure what a smaller halo changes


@dataclass(frozen=True)
class Region:
    """Rows [top, bottom) and columns [left, right) of an image."""

    top: int
    left: int
    bottom: int
    right: int


def label_region(infer: Infer, image: ImageWindows, plan: Plan, region: Region) -> NDArray[Any]:
    """Return labels [h, w] of a part of the image; only the tiles that it needs run. Errors as for `label_bands`."""
    return np.concatenate(list(label_bands(infer, image, plan, region=region)))


def label_bands(
    infer: Infer,
    image: ImageWindows,
    plan: Plan,
    progress: Progress = SILENT,
    *,
    batch: int = 1,
    region: Region | None = None,
) -> Iterator[NDArray[Any]]:
    """Yield labels [h, W] of one row of tiles after the other, from the top; no more than one such band is held.

    The arrays belong to the caller; their type is that which `infer` gives.

    Args:
        batch: tiles of one call, at most.
        region: the part to label; None is the whole image.

    Raises:
        ImageError: a window cannot be read.
        RunnerError, ShapeError: from `infer`, or it gave labels of another shape.
    """
    region = region or Region(0, 0, plan.rows.side, plan.columns.side)
    rows = _windows_for(plan.rows, region.top, region.bottom)
    columns = _windows_for(plan.columns, region.left, region.right)
    total = len(rows) * len(columns)
    estimate = _Estimate(total, progress)
    with progress.task("tiles", total) as task:
        for row in rows:
            band: NDArray[Any] | None = None
            for some in (columns[first : first + batch] for first in range(0, len(columns), batch)):
                labels = _run(infer, image, plan, row.start, [column.start for column in some])
                if band is None:
                    band = np.empty((row.last - row.first, region.right - region.left), labels.dtype)
                for own, column in zip(labels, some, strict=True):
                    kept = own[row.within, column.within]
                    band[:, column.first - region.left : column.last - region.left] = kept
                task.advance(len(some))
                estimate.advance(len(some))
            assert band is not None
            yield band


class _Estimate:
    """Says once, after the first tiles, how long the rest will take, if that is long; the first call also warms up."""

    def __init__(self, tiles: int, progress: Progress) -> None:
        self._left, self._progress, self._since, self._done = tiles, progress, time.monotonic(), -1

    def advance(self, tiles: int) -> None:
        self._left -= tiles
        if self._progress is SILENT:
            return
        if self._done < 0:
            self._since, self._done = time.monotonic(), 0
            return
        self._done += tiles
        passed = time.monotonic() - self._since
        if passed < ESTIMATE_AFTER_S or not self._left:
            return
        seconds = passed / self._done * self._left
        if seconds >= LONG_S:
            self._progress.say(f"about {duration(seconds)} for the other {self._left:,} tiles")
        self._progress = SILENT


@dataclass(frozen=True)
class _WindowPlace:
    """First pixel of a window along one side, and the labels [first, last) of the image that are taken from it."""

    start: int
    first: int
    last: int

    @property
    def within(self) -> slice:
        """The same, counted from the window's own beginning."""
        return slice(self.first - self.start, self.last - self.start)


def _windows_for(axis: Axis, first: int, last: int) -> list[_WindowPlace]:
    """Return the windows along `axis` that labels [first, last) come from."""
    places = (
        _WindowPlace(start, max(first, own_first), min(last, own_last))
        for start, (own_first, own_last) in zip(axis.starts, axis.label_ranges, strict=True)
    )
    return [place for place in places if place.first < place.last]


def _run(infer: Infer, image: ImageWindows, plan: Plan, top: int, lefts: Sequence[int]) -> NDArray[Any]:
    """Return labels [N, h, w] of the windows that start at row `top` and columns `lefts`."""
    windows = np.stack([read_window(image, top, left, *plan.shape) for left in lefts])
    labels = infer(windows)
    if labels.shape != windows.shape[:3]:
        raise RunnerError(
            f"labels of tiles are {list(labels.shape)}; expected {list(windows.shape[:3])}, as the image is"
        )
    return labels


def read_window(image: ImageWindows, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return uint8[height, width, 3]; beyond the image its last row and column repeat."""
    inside = image.read(top, left, min(height, image.height - top), min(width, image.width - left))
    below, right = height - inside.shape[0], width - inside.shape[1]
    return np.pad(inside, ((0, below), (0, right), (0, 0)), mode="edge") if below or right else inside


@dataclass(frozen=True)
class Disagreement:
    """Labels of one plan that are not those of an exact one.

    Attributes:
        differing, pixels: how many of how many compared.
        tiles, of_tiles: exact tiles that were run for it, and those of the whole image.
    """

    differing: int
    pixels: int
    tiles: int
    of_tiles: int

    @property
    def share(self) -> float:
        return self.differing / self.pixels

    def __str__(self) -> str:
        return (
            f"{self.share:.3%} of {self.pixels:,} labels differ from the whole image's "
            f"({self.tiles} of {self.of_tiles} exact tiles looked at)"
        )


def measure_disagreement(
    infer: Infer,
    image: ImageWindows,
    plan: Plan,
    exact: Plan,
    *,
    sample: int | None = SAMPLE,
    progress: Progress = SILENT,
) -> Disagreement:
    """Compare `plan` with `exact` on `sample` tiles of the latter, spread evenly; None takes all.

    Errors as for `label_bands`.
    """
    cells = list(product(_label_ranges(exact.rows), _label_ranges(exact.columns)))
    chosen = cells if sample is None else [cells[index] for index in _evenly_spaced(len(cells), sample)]
    differing = pixels = 0
    for (top, bottom), (left, right) in track(progress, "comparing with exact tiles", chosen, len(chosen)):
        labels, others = (label_region(infer, image, each, Region(top, left, bottom, right)) for each in (plan, exact))
        differing += int(np.count_nonzero(labels != others))
        pixels += labels.size
    return Disagreement(differing, pixels, len(chosen), len(cells))


def _label_ranges(axis: Axis) -> list[tuple[int, int]]:
    return [(first, last) for first, last in axis.label_ranges if last > first]


def _evenly_spaced(count: int, sample: int) -> list[int]:
    """Return `sample` of `count` indices, in the middles of equal parts."""
    taken = min(count, sample)
    return [(2 * index + 1) * count // (2 * taken) for index in range(taken)]
