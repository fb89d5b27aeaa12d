"""Folders of small photographs with one rectangle each, and their masks, for the tests of data and training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_masks(
    folder: Path,
    values: Sequence[int] = (0, 1),
    count: int = 3,
    name: Callable[[int], tuple[str, str]] = lambda index: (f"images/{index}.png", f"masks/{index}.png"),
    size: tuple[int, int] = (33, 47),
) -> Path:
    """Write `count` pairs below `folder`: rows of equal height, one for each of `values`; return `folder`."""
    height, width = size
    rows = np.repeat(np.arange(len(values)), -(-height // len(values)))[:height]
    for index in range(count):
        image, mask = (folder / each for each in name(index))
        for path in (image, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        shade = np.repeat((rows * 60 + index).astype(np.uint8)[:, None], width, axis=1)
        Image.fromarray(np.repeat(shade[..., None], 3, axis=2)).save(image)
        mask_values = np.repeat(np.asarray(values, np.uint8)[rows][:, None], width, axis=1)
        Image.fromarray(mask_values).save(mask)
    return folder
