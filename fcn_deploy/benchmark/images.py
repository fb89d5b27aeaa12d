"""Keep the images that are timed, stack them into batches, resize them to other shapes.

Images are resized with Pillow (bilinear), labels by nearest neighbour, to exactly the size that was asked for. A
network then sees other scales than it was trained on, which is part of the answer: mIoU is counted at each size against
the labels of that size.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from fcn_deploy.data.sample import Sample
from fcn_deploy.errors import DataError
from fcn_deploy.vocabulary import Shape, Size

Image = NDArray[np.uint8]
BATCH_BYTES = 2 << 30
POOL_BYTES = 256 << 20
# Different images that are enough to time a shape, or one batch: the work does not depend on what they show.
IMAGES = 8


@dataclass
class ImagePool:
    """Count the samples that pass, and keep the first images for the timing, up to 256 MiB.

    Attributes:
        batch: images per inference, when they are timed.
        keep_images: whether images are kept at all.
        images: uint8[H, W, 3] each.
        sizes: how many images of each (H, W).
    """

    batch: int = 1
    keep_images: bool = True
    images: list[Image] = field(default_factory=list)
    sizes: dict[Size, int] = field(default_factory=dict)
    seen: int = 0
    labelled: int = 0
    _bytes: int = 0

    def watch(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield the same samples and count them.

        Raises:
            DataError: batches of an image's size would not fit into memory; raised now, not after the comparison.
        """
        for sample in samples:
            check_bytes([sample.image], self.batch)
            self.seen += 1
            self.labelled += sample.label is not None
            height, width = sample.image.shape[:2]
            self.sizes[height, width] = self.sizes.get((height, width), 0) + 1
            if self.keep_images and (not self.images or self._bytes + sample.image.nbytes <= POOL_BYTES):
                self.images.append(sample.image)
                self._bytes += sample.image.nbytes
            yield sample


def batches_of(images: Sequence[Image], batch: int) -> list[Image]:
    """Stack uint8[H, W, 3] images to uint8[batch, H, W, 3], images of one shape together, in the order of first shapes.

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
    """Raise DataError if the full batches of `images` take more than BATCH_BYTES; single images are always allowed."""
    counts = Counter(image.shape for image in images)
    needed = sum(-(-count // batch) * batch * math.prod(shape) for shape, count in counts.items())
    if batch > 1 and needed > BATCH_BYTES:
        raise DataError(
            f"batches of {batch} images take {needed >> 20} MiB, more than the {BATCH_BYTES >> 20} MiB "
            "allowed; give a smaller --batch, or images of fewer sizes"
        )


def commonest(batches: Sequence[Image]) -> list[Image]:
    """Return the batches of the most common shape; of equally common ones the first."""
    shape, _ = Counter(batch.shape for batch in batches).most_common(1)[0]
    return [batch for batch in batches if batch.shape == shape]


def shapes_of(sizes: Sequence[Size], batches: Sequence[int], own: Mapping[Size, int]) -> tuple[Shape, ...]:
    """Return (N, H, W) of every size with every batch, small ones first; () where one batch and no size was asked for.

    Args:
        sizes: [height, width]; () is the most common of `own`.
        own: how many images of each size the data set has.
    """
    if not sizes and len(batches) <= 1:
        return ()
    chosen = sizes or [Counter(own).most_common(1)[0][0]]
    found = {(batch, height, width) for height, width in chosen for batch in batches or (1,)}
    return tuple(sorted(found, key=lambda shape: (shape[1] * shape[2], shape[0])))


def check_shapes(sizes: Iterable[Size], batches: Sequence[int]) -> None:
    """Raise DataError for a batch that would not fit into memory, before anything is opened."""
    for height, width in sizes:
        needed = max(batches, default=1) * height * width * 3
        if needed > BATCH_BYTES:
            raise DataError(
                f"batches of {max(batches, default=1)} images of {height}x{width} take {needed >> 20} MiB, more than "
                f"the {BATCH_BYTES >> 20} MiB allowed; give smaller --image-sizes or --batch"
            )


def resized(samples: Iterable[Sample], size: Size) -> Iterator[Sample]:
    """Yield the samples resized to (height, width)."""
    for sample in samples:
        label = None if sample.label is None else resized_label(sample.label, size)
        yield replace(sample, image=resized_image(sample.image, size), label=label)


def resized_image(image: Image, size: Size) -> Image:
    """Resize uint8[H, W, 3] to uint8[height, width, 3]; return the image itself if it has that size."""
    if image.shape[:2] == size:
        return image
    pillow = PillowImage.fromarray(image).resize((size[1], size[0]), PillowImage.Resampling.BILINEAR)
    return np.asarray(pillow, np.uint8)


def resized_label(label: NDArray[np.integer], size: Size) -> NDArray[np.integer]:
    """Resize integer[H, W] to integer[height, width] of the same type; no label appears that was not there."""
    if label.shape == size:
        return label
    pillow = PillowImage.fromarray(label).resize((size[1], size[0]), PillowImage.Resampling.NEAREST)
    return np.asarray(pillow).astype(label.dtype)


def images_for(shape: Shape, pool: Sequence[Image]) -> list[Image]:
    """Return the first images of the pool, resized; enough for a batch where the pool has that many."""
    return [resized_image(image, shape[1:]) for image in pool[: max(IMAGES, shape[0])]]
