"""Define what an image is on its way through a run: decoded, labelled, finished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import DataError, RunnerError, ShapeError
from fcn_deploy.vocabulary import CONFIDENCE, LABELS

# The runner's outputs by their names.
Tensors = dict[str, NDArray[Any]]
# What a runner made of one image to the same in memory from which it is written.
Keep = Callable[[Tensors], Tensors]


def in_place(tensors: Tensors) -> Tensors:
    """Return tensors where they are."""
    return tensors


@dataclass(frozen=True)
class LoadedImage:
    """A decoded image, uint8[H, W, 3].

    Attributes:
        keep: brings what is made of the image to where it is written from; called where the inference ran.
    """

    index: int
    name: PurePosixPath
    image: NDArray[np.uint8]
    keep: Keep = in_place


@dataclass(frozen=True)
class LabelledImage:
    """An image and what the runner made of it, by name; `labels` uint8|int32[H, W] is among them."""

    loaded: LoadedImage
    tensors: Tensors

    @property
    def labels(self) -> NDArray[Any]:
        return self.tensors[LABELS]

    @property
    def confidence(self) -> NDArray[np.uint8] | None:
        """Of each label, uint8[H, W]; None where it was not asked for."""
        return self.tensors.get(CONFIDENCE)


@dataclass(frozen=True)
class FinishedImage:
    """An image with nothing left to do: written, existing already, or failed.

    Attributes:
        pixels: int64[C], pixels of each class; None if they were not counted.
        error: why there are no results.
        confidence: the mean over the pixels, 0..1; None if it was not asked for.
    """

    index: int
    name: PurePosixPath
    pixels: NDArray[np.int64] | None = None
    error: DataError | ShapeError | RunnerError | None = None
    skipped: bool = False
    confidence: float | None = None
