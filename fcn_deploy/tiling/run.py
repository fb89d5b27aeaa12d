"""Label an image of any size tile by tile: band by band for a writer, or a part as an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import RunnerError
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.tiling.plan import Axis, Plan
from fcn_deploy.tiling.windows import ImageWindows

# uint8[N, H, W, 3] RGB -> integers [N, H, W]
Infer = Callable[[NDArray[np.uint8]], NDArray[Any]]


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
    with progress.task("tiles", len(rows) * len(columns)) as task:
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
            assert band is not None
            yield band


@dataclass(frozen=True)
class _WindowPlace:
    """Where a window begins along one side, and which labels [first, last) of the image are taken from it."""

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
    """Return labels [N, h, w] of the windows that begin at row `top` and columns `lefts`."""
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
    below, beside = height - inside.shape[0], width - inside.shape[1]
    return np.pad(inside, ((0, below), (0, beside), (0, 0)), mode="edge") if below or beside else inside
