"""Augment a labelled image by random window, scale and mirroring, as a pure function of the random generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class Augmentation:
    """What may be done to a training image.

    Attributes:
        crop: height and width of the result, in pixels.
        scale: smallest and largest magnification.
        flip: whether half of the results are mirrored left to right.
        fill: RGB (0..255) beyond the image's edge.
        ignore_index: label beyond the image's edge.
    """

    crop: tuple[int, int]
    scale: tuple[float, float]
    flip: bool
    fill: tuple[int, int, int]
    ignore_index: int


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the random numbers of one image in one epoch, whichever process draws them."""
    return np.random.default_rng((seed, epoch, index))


def augment(
    image: NDArray[np.uint8], label: NDArray[np.integer], how: Augmentation, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a random window from an image and resize it to the crop.

    Cutting before resizing costs the same for an image of any size. The window may reach beyond an image that is
    smaller than it; there the result holds `fill` and `ignore_index`.

    Args:
        image: uint8[H, W, 3] RGB.
        label: integer[H, W].

    Returns:
        uint8[h, w, 3] and int64[h, w] with (h, w) = `how.crop`.
    """
    magnification = float(np.exp(random.uniform(*np.log(how.scale))))
    height, width = (max(1, round(side / magnification)) for side in how.crop)
    top, left = (_origin(side, window, random) for side, window in zip(label.shape, (height, width), strict=True))
    mirror = how.flip and bool(random.integers(2))
    pixels = _window(image, top, left, height, width, np.array(how.fill, np.uint8))
    labels = _window(label, top, left, height, width, np.array(how.ignore_index, label.dtype))
    if mirror:
        pixels, labels = pixels[:, ::-1], labels[:, ::-1]
    return _resize_image(pixels, how.crop), _resize_label(labels, how.crop)


def _origin(side: int, window: int, random: np.random.Generator) -> int:
    """Return the first row or column of a window inside the image or, if the window is larger, around it."""
    low, high = sorted((0, side - window))
    return int(random.integers(low, high + 1))


def _window(source: NDArray, top: int, left: int, height: int, width: int, fill: NDArray) -> NDArray:  # type: ignore[type-arg]
    """Return rows top..top+height and columns left..left+width of `source`, `fill` where there are none."""
    rows = slice(max(0, top), min(source.shape[0], top + height))
    columns = slice(max(0, left), min(source.shape[1], left + width))
    part = source[rows, columns]
    if part.shape[:2] == (height, width):
        return part
    result = np.empty((height, width, *source.shape[2:]), source.dtype)
    result[...] = fill
    row, column = rows.start - top, columns.start - left
    result[row : row + part.shape[0], column : column + part.shape[1]] = part
    return result


def _resize_image(pixels: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """Return uint8[H, W, 3] -> uint8[h, w, 3], bilinear with half-pixel centres, low-pass filtered where it shrinks."""
    batch = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    if batch.shape[-2:] == size:
        return batch[0].permute(1, 2, 0)
    resized = interpolate(batch, size=size, mode="bilinear", align_corners=False, antialias=True)
    return resized[0].permute(1, 2, 0)


def _resize_label(labels: NDArray[np.integer], size: tuple[int, int]) -> Tensor:
    """Return integer[H, W] -> int64[h, w]: the label under each new pixel's centre."""
    rows, columns = (_nearest(old, new) for old, new in zip(labels.shape, size, strict=True))
    return torch.from_numpy(labels[rows[:, None], columns].astype(np.int64))


def _nearest(old: int, new: int) -> NDArray[np.int64]:
    """Return the old index under the centre of each of `new` pixels: floor((i + 0.5) * old / new), in integers."""
    return (2 * np.arange(new) + 1) * old // (2 * new)
