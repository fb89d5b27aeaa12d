"""The data set at other sizes and batches: images resized with Pillow (bilinear), labels by nearest neighbour.

The aspect ratio is what the size says. A network sees other scales than it was trained on, which is part of the answer:
mIoU is counted at each size against the labels of that size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from fcn_deploy.benchmark.batches import BATCH_BYTES, Image
from fcn_deploy.data.sample import Sample
from fcn_deploy.errors import DataError
from fcn_deploy.vocabulary import Shape, Size

# So many different images, or one batch, are enough to time a shape: the work does not depend on what they show.
IMAGES = 8


def shapes_of(sizes: Sequence[Size], batches: Sequence[int], own: Mapping[Size, int]) -> tuple[Shape, ...]:
    """(N, H, W) of every size with every batch, small ones first; () where one batch and no size was asked for.

    Args:
        sizes: [height, width]; () is the commonest of `own`.
        own: how many images of each size the data set has.
    """
    if not sizes and len(batches) <= 1:
        return ()
    chosen = sizes or [Counter(own).most_common(1)[0][0]]
    found = {(batch, height, width) for height, width in chosen for batch in batches or (1,)}
    return tuple(sorted(found, key=lambda shape: (shape[1] * shape[2], shape[0])))


def check_shapes(sizes: Iterable[Size], batches: Sequence[int]) -> None:
    """DataError for a batch that would not fit into memory, before anything is opened."""
    for height, width in sizes:
        needed = max(batches, default=1) * height * width * 3
        if needed > BATCH_BYTES:
            raise DataError(
                f"batches of {max(batches, default=1)} images of {height}x{width} take {needed >> 20} MiB, more than "
                f"the {BATCH_BYTES >> 20} MiB that they may; give smaller --sizes or --batch"
            )


def resized(samples: Iterable[Sample], size: Size) -> Iterator[Sample]:
    """The samples at (height, width)."""
    for sample in samples:
        label = None if sample.label is None else resized_label(sample.label, size)
        yield replace(sample, image=resized_image(sample.image, size), label=label)


def resized_image(image: Image, size: Size) -> Image:
    """uint8[H, W, 3] -> uint8[height, width, 3]; the image itself if it has that size."""
    if image.shape[:2] == size:
        return image
    pillow = PillowImage.fromarray(image).resize((size[1], size[0]), PillowImage.Resampling.BILINEAR)
    return np.asarray(pillow, np.uint8)


def resized_label(label: NDArray[np.integer], size: Size) -> NDArray[np.integer]:
    """integer[H, W] -> integer[height, width] of the same type; no label appears that was not there."""
    if label.shape == size:
        return label
    pillow = PillowImage.fromarray(label).resize((size[1], size[0]), PillowImage.Resampling.NEAREST)
    return np.asarray(pillow).astype(label.dtype)


def images_for(shape: Shape, pool: Sequence[Image]) -> list[Image]:
    """The first images of the pool, resized; enough for a batch where the pool has that many."""
    return [resized_image(image, shape[1:]) for image in pool[: max(IMAGES, shape[0])]]
