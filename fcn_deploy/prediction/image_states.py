"""Define what an image is on its way through a run: decoded, labelled, finished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import DataError, RunnerError, ShapeError

# Labels [H, W] to the same labels in memory from which they are written.
Keep = Callable[[NDArray[Any]], NDArray[Any]]


def in_place(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels where they are."""
    return labels


@dataclass(frozen=True)
class LoadedImage:
    """A decoded image, uint8[H, W, 3].

    Attributes:
        keep: brings the image's labels to where they are written from; called where the inference ran.
    """

    index: int
    name: PurePosixPath
    image: NDArray[np.uint8]
    keep: Keep = in_place


@dataclass(frozen=True)
class LabelledImage:
    """An image and its labels, uint8|int32[H, W]."""

    loaded: LoadedImage
    labels: NDArray[Any]


@dataclass(frozen=True)
class FinishedImage:
    """An image with nothing left to do: written, existing already, or failed.

    Attributes:
        pixels: int64[C], pixels of each class; None if they were not counted.
        error: why there are no results.
    """

    index: int
    name: PurePosixPath
    pixels: NDArray[np.int64] | None = None
    error: DataError | ShapeError | RunnerError | None = None
    skipped: bool = False
