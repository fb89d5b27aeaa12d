"""Images of one size together, so many an inference."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import DataError

Image = NDArray[np.uint8]
BATCH_BYTES = 2 << 30


def batches_of(images: Sequence[Image], batch: int) -> list[Image]:
    """uint8[H, W, 3] images -> uint8[batch, H, W, 3], images of one shape together, in the order of first shapes.

    The last batch of a shape is filled up with that shape's first images, so every batch is full.

    Raises:
        DataError: see `check_bytes`.
    """
    check_bytes(images, batch)
    groups: dict[tuple[int, ...], list[Image]] = {}
    for image in images:
        groups.setdefault(image.shape, []).append(image)
    return [
        np.stack([group[index % len(group)] for index in range(start, start + batch)])
        for group in groups.values()
        for start in range(0, len(group), batch)
    ]


def check_bytes(images: Sequence[Image], batch: int) -> None:
    """DataError if the full batches of `images` would take more than BATCH_BYTES; single images always may."""
    counts = Counter(image.shape for image in images)
    needed = sum(-(-count // batch) * batch * math.prod(shape) for shape, count in counts.items())
    if batch > 1 and needed > BATCH_BYTES:
        raise DataError(
            f"batches of {batch} images take {needed >> 20} MiB, more than the {BATCH_BYTES >> 20} MiB "
            "that they may; give a smaller --batch, or images of fewer sizes"
        )


def commonest(batches: Sequence[Image]) -> list[Image]:
    """The batches of the shape that most of them have; of equals the first."""
    shape, _ = Counter(batch.shape for batch in batches).most_common(1)[0]
    return [batch for batch in batches if batch.shape == shape]
