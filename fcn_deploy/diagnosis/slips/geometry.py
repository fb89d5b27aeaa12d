"""Resize, pad, shift and turn images and label maps as other programs do."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]
Interpolation = Literal["bilinear", "nearest", "bilinear, filtered"]


def nearest(labels: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Return [H, W, ...] at another size, each pixel that of the source nearest to its centre."""
    if labels.shape[:2] == shape:
        return labels
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(shape, labels.shape, strict=False))
    found: NDArray[Any] = labels[rows[:, None], columns[None, :]]
    return found


def resized(shape: tuple[int, int], how: Interpolation) -> Callable[[Bytes], Bytes]:
    """Return a step that resizes to `shape`.

    Args:
        how: "bilinear" between the four neighbours, as OpenCV does; "filtered" over all pixels that are made smaller,
            as Pillow does.
    """

    def step(image: Bytes) -> Bytes:
        if how == "bilinear, filtered":
            made = Image.fromarray(np.ascontiguousarray(image)).resize(shape[::-1], Image.Resampling.BILINEAR)
            return np.asarray(made)
        return _bilinear(image, shape) if how == "bilinear" else nearest(image, shape)

    return step


def _bilinear(image: Bytes, shape: tuple[int, int]) -> Bytes:
    (top, below, down), (left, right, across) = (
        _neighbours(new, old) for new, old in zip(shape, image.shape, strict=False)
    )
    wide = image.astype(np.float32)
    rows = wide[top] * (1 - down)[:, None, None] + wide[below] * down[:, None, None]
    mixed: NDArray[Any] = rows[:, left] * (1 - across)[None, :, None] + rows[:, right] * across[None, :, None]
    return _bytes(mixed)


def _neighbours(new: int, old: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]:
    place = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
    low = place.astype(int)
    return low, np.minimum(low + 1, old - 1), (place - low).astype(np.float32)


def _bytes(values: NDArray[Any]) -> Bytes:
    rounded: Bytes = values.round().astype(np.uint8)
    return rounded


def half_size(image: Bytes, how: Interpolation) -> Bytes:
    """Return the image at half its height and width."""
    return resized((image.shape[0] // 2, image.shape[1] // 2), how)(image)


def letterboxed(side: int | None, colour: int, *, centred: bool = True) -> Callable[[Bytes], Bytes]:
    """Return a step that fits the image into a square and fills the rest; `side` None takes the longer side."""

    def step(image: Bytes) -> Bytes:
        height, width = image.shape[:2]
        length = side or max(height, width)
        scale = length / max(height, width)
        inner = resized((max(1, round(height * scale)), max(1, round(width * scale))), "bilinear")(image)
        square = np.full((length, length, 3), colour, np.uint8)
        top, left = ((length - size) // 2 if centred else 0 for size in inner.shape[:2])
        square[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        return square

    return step


def half_pixel(image: Bytes, sign: int) -> Bytes:
    """Return the image moved by half a pixel along both axes."""
    wide = image.astype(np.float32)
    moved = (wide + shifted(wide, sign, 0) + shifted(wide, 0, sign) + shifted(wide, sign, sign)) / 4
    return _bytes(moved)


def shifted(array: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Return [H, W, ...] moved by whole pixels; the edge is repeated."""
    rows = (np.arange(array.shape[0]) - down).clip(0, array.shape[0] - 1)
    columns = (np.arange(array.shape[1]) - right).clip(0, array.shape[1] - 1)
    moved: NDArray[Any] = array[rows[:, None], columns[None, :]]
    return moved


def through_jpeg(quality: int) -> Callable[[Bytes], Bytes]:
    """Return a step that writes the image as JPEG and reads it again."""

    def step(image: Bytes) -> Bytes:
        stream = BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality)
        return np.array(Image.open(stream))

    return step
