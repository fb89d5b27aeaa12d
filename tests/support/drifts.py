"""Scenes as photographs, as they are and with planted drifts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcn_deploy.data.dataset import open_dataset

Pixels = NDArray[np.uint8]


def night(image: Pixels) -> Pixels:
    """Darken by a gamma of 2.5."""
    return (255 * (image / 255) ** 2.5).astype(np.uint8)


def fog(image: Pixels) -> Pixels:
    """Halve the contrast, towards light grey."""
    return (0.5 * image + 100).astype(np.uint8)


def noise(image: Pixels) -> Pixels:
    """Add a sensor's noise of 20 levels."""
    noisy = image + np.random.default_rng(0).normal(0, 20, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def bgr(image: Pixels) -> Pixels:
    """Swap red and blue."""
    return image[..., ::-1]


def half(image: Pixels) -> Pixels:
    """Drop every other row and column."""
    return image[::2, ::2]


DRIFTS: dict[str, Callable[[Pixels], Pixels]] = {"night": night, "fog": fog, "noise": noise, "bgr": bgr, "half": half}


def scenes(source: str) -> list[Pixels]:
    """Return the images of "synthetic:COUNT:SEED:HxW"."""
    dataset = open_dataset(source)
    return [dataset[index].image for index in range(len(dataset))]


def write_photos(folder: Path, images: list[Pixels]) -> Path:
    """Write 000.png, 001.png, ... into a new folder."""
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(np.ascontiguousarray(image)).save(folder / f"{index:03}.png")
    return folder
