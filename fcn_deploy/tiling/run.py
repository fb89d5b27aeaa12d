"""Labels of an image of any size, tile by tile: whole as an array, or band by band for who writes them on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RunnerError
from ..progress import SILENT, Progress
from .plan import Plan
from .windows import ImageWindows

# uint8[N, H, W, 3] RGB -> integers [N, H, W]
Infer = Callable[[NDArray[np.uint8]], NDArray[Any]]


def labels_of(
    infer: Infer, image: ImageWindows, plan: Plan, progress: Progress = SILENT, *, batch: int = 1
) -> NDArray[Any]:
    """Labels [H, W] of the whole image, in the type that `infer` gives.

    Args:
        batch: tiles of one call, at most.

    Raises:
        ImageError: a window cannot be read.
        RunnerError: from `infer`, or it gave labels of another shape.
    """
    bands = bands_of(infer, image, plan, progress, batch=batch)
    first = next(bands)
    labels = np.empty((plan.rows.side, plan.columns.side), first.dtype)
    labels[: len(first)] = first
    top = len(first)
    for band in bands:
        labels[top : top + len(band)] = band
        top += len(band)
    return labels


def bands_of(
    infer: Infer, image: ImageWindows, plan: Plan, progress: Progress = SILENT, *, batch: int = 1
) -> Iterator[NDArray[Any]]:
    """Labels [h, W] of one row of tiles after the other, from the top; no more than one band is held.

    The arrays belong to the caller. Errors as for `labels_of`.
    """
    with progress.task("tiles", plan.windows) as task:
        for top, (first, last) in zip(plan.rows.starts, plan.rows.kept, strict=True):
            band: NDArray[Any] | None = None
            for some in _chunks(range(len(plan.columns.starts)), batch):
                tiles = _run(infer, image, plan, top, [plan.columns.starts[index] for index in some])
                if band is None:
                    band = np.empty((last - first, plan.columns.side), tiles.dtype)
                _keep(band, tiles[:, first - top : last - top], plan, some)
                task.advance(len(some))
            assert band is not None
            yield band


def _keep(band: NDArray[Any], tiles: NDArray[Any], plan: Plan, columns: Sequence[int]) -> None:
    """Copy the columns that count of each of `tiles`, [N, h, w], which are those numbered `columns`."""
    kept = list(plan.columns.kept)
    for tile, index in zip(tiles, columns, strict=True):
        (left, right), start = kept[index], plan.columns.starts[index]
        band[:, left:right] = tile[:, left - start : right - start]


def _chunks(indices: range, batch: int) -> Iterator[range]:
    return (indices[first : first + batch] for first in range(0, len(indices), batch))


def _run(infer: Infer, image: ImageWindows, plan: Plan, top: int, lefts: Sequence[int]) -> NDArray[Any]:
    """Labels [N, h, w] of the windows that begin at row `top` and columns `lefts`."""
    windows = np.stack([read_window(image, top, left, *plan.shape) for left in lefts])
    labels = infer(windows)
    if labels.shape != windows.shape[:3]:
        raise RunnerError(
            f"labels of tiles are {list(labels.shape)}; needed {list(windows.shape[:3])}, as the image is"
        )
    return labels


def read_window(image: ImageWindows, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
    """uint8[height, width, 3]; beyond the image its last row and column repeat."""
    inside = image.read(top, left, min(height, image.height - top), min(width, image.width - left))
    below, beside = height - inside.shape[0], width - inside.shape[1]
    return np.pad(inside, ((0, below), (0, beside), (0, 0)), mode="edge") if below or beside else inside
