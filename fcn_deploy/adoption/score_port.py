"""Find the scores or labels among the outputs of a foreign graph, by what it gives for images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import GraphError, UnknownNameError
from fcn_deploy.vocabulary import Shape, shape_text

LARGEST_SCALE = 64  # image pixels a side for each score; beyond it the numbers are of the image, not of its pixels
INTEGERS = ("bool", "uint8", "int8", "int32", "int64")


@dataclass(frozen=True)
class ScorePort:
    """The output that labels are made of.

    Attributes:
        classes: channels of scores, the class axis; None for labels.
        axes: where N, C, H and W of scores are, or N, H and W of labels, among the output's dims; an axis of 1 that is
            not among them is squeezed.
        scale: image pixels a side for each of its own.
        dtype: NumPy's name of its type.
    """

    name: str
    classes: int | None
    axes: tuple[int, ...]
    rank: int
    scale: int
    dtype: str

    @property
    def is_binary(self) -> bool:
        """Whether it says of each pixel that it is of one class, or is not."""
        return self.classes == 1 or self.dtype == "bool"

    @property
    def is_labels(self) -> bool:
        return self.classes is None

    def canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the output as [N, C, h, w] float32 scores or [N, h, w] labels."""
        gone = tuple(axis for axis in range(self.rank) if axis not in self.axes)
        kept = [axis for axis in range(self.rank) if axis not in gone]
        moved: NDArray[Any] = array.squeeze(gone).transpose([kept.index(axis) for axis in self.axes])
        if self.is_labels:
            return moved
        return (moved if moved.ndim == 4 else moved[:, None]).astype(np.float32, copy=False)

    def fits(self, height: int, width: int, shape: tuple[int, ...]) -> bool:
        """Return whether an output of this shape belongs to an image of these sides, rounded up or down."""
        sides = [(height, shape[self.axes[-2]]), (width, shape[self.axes[-1]])]
        return all(found in (side // self.scale, -(-side // self.scale)) for side, found in sides)


def choose_score_port(
    path: Path, outputs: Mapping[str, NDArray[Any]], image: Shape, channels_last: bool, asked: str | None
) -> ScorePort:
    """Return the output to make labels of, by the outputs for one image batch of (N, H, W).

    Where several fit: one of the image's size before smaller ones, scores before labels, and none called "aux" unless
    there is no other.

    Args:
        asked: the name of the output that the user wants.

    Raises:
        UnknownNameError: there is no such output.
        GraphError: none fits, and what was found.
    """
    if asked is not None and asked not in outputs:
        raise UnknownNameError.of("output", asked, list(outputs))
    wanted = outputs if asked is None else {asked: outputs[asked]}
    ports = [port for name, array in wanted.items() if (port := _port(name, array, image, channels_last)) is not None]
    if ports:
        return min(ports, key=lambda port: ("aux" in port.name.lower(), port.scale, port.is_labels))
    raise GraphError(f"{path}: {_trouble(wanted, image)}")


def _port(name: str, array: NDArray[Any], image: Shape, channels_last: bool) -> ScorePort | None:
    """Return the reading of one output that fits the image, of the input's layout first; None if none does."""
    n, height, width = image
    integers = array.dtype.name in INTEGERS
    if not integers and array.dtype.kind != "f":
        return None
    for axes in _readings(array.ndim, integers, channels_last):
        rows, columns = array.shape[axes[-2]], array.shape[axes[-1]]
        gone = [axis for axis in range(array.ndim) if axis not in axes]
        if any(array.shape[axis] != 1 for axis in gone) or array.shape[axes[0]] != n or rows * columns <= 1:
            continue
        scale = height // rows if rows else 0
        if 1 <= scale <= LARGEST_SCALE and rows * scale == height and columns * scale == width:
            classes = None if integers else array.shape[axes[1]] if array.ndim == 4 else 1
            return ScorePort(name, classes, axes, array.ndim, scale, array.dtype.name)
    return None


def _readings(rank: int, integers: bool, channels_last: bool) -> list[tuple[int, ...]]:
    if rank == 3:
        return [(0, 1, 2)]
    if rank != 4:
        return []
    found: list[tuple[int, ...]] = [(0, 2, 3), (0, 1, 2)] if integers else [(0, 1, 2, 3), (0, 3, 1, 2)]
    return found[::-1] if channels_last else found


def _trouble(outputs: Mapping[str, NDArray[Any]], image: Shape) -> str:
    listed = ", ".join(f"{name} {array.dtype.name}[{shape_text(array.shape)}]" for name, array in outputs.items())
    what = f"for an image of {shape_text(image)} it gives {listed}"
    arrays = list(outputs.values())
    if all(array.ndim <= 2 or array.size == array.shape[0] * array.shape[1] for array in arrays):
        return f"{what}: one answer for the whole image, as a classifier does; adopt takes segmentation networks"
    if any(array.ndim == 4 for array in arrays):
        return f"{what}, no whole number of image pixels to each score; export it with scores of the image's size"
    return f"{what}, which are no labels of pixels, as of a detector; adopt takes segmentation networks"
