"""Keep of each image what it looks like, its size, and how many pixels the network labels as each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What an image looks like, whatever it shows: mean of grey and of red less blue, in 0..255; standard deviation of
# grey; mean size of the second difference along rows, which noise raises and blur and fog lower.
APPEARANCE = ("brightness", "red less blue", "contrast", "detail")
UNNAMED = 256  # classes that uint8 labels may have, where none are known
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class ImageProfile:
    """What I images look like and show; a few numbers per image, which do not depend on how it is quantised.

    Attributes:
        appearance: float64[I, 4], `APPEARANCE`.
        sizes: int64[I, 2], height and width.
        pixels: int64[I, C], pixels that the network labels as each class.
    """

    appearance: NDArray[np.float64]
    sizes: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @property
    def images(self) -> int:
        return len(self.sizes)


@dataclass
class ProfileCollector:
    """`ImageProfile` that grows image by image: first the image is added, then its labels.

    Attributes:
        num_classes: C.
        tensor: the labels that the network gives, or its logits; "" where labels come from elsewhere.
    """

    num_classes: int
    tensor: str = ""
    _appearance: list[tuple[float, ...]] = field(default_factory=list)
    _sizes: list[tuple[int, int]] = field(default_factory=list)
    _pixels: list[NDArray[np.int64]] = field(default_factory=list)

    def add_image(self, image: NDArray[np.uint8]) -> None:
        """Add uint8[H, W, 3]."""
        self._appearance.append(appearance_of(image))
        self._sizes.append((image.shape[0], image.shape[1]))

    def add_labels(self, labels: NDArray[Any]) -> None:
        """Add its integer labels of any shape; those that are no class are left out."""
        flat = labels.reshape(-1)
        counted = np.bincount(flat[flat >= 0] if flat.dtype.kind == "i" else flat, minlength=self.num_classes)
        self._pixels.append(counted[: self.num_classes].astype(np.int64))

    def add_seen(self, seen: Mapping[str, NDArray[Any]]) -> None:
        """Add the labels among the tensors of one image: integer[1, H, W], or the arg max of float[1, C, H, W]."""
        values = seen[self.tensor]
        self.add_labels(values.argmax(1) if values.ndim == 4 else values)

    def result(self) -> ImageProfile:
        """Return the figures so far."""
        return ImageProfile(
            np.array(self._appearance, np.float64).reshape(-1, len(APPEARANCE)),
            np.array(self._sizes, np.int64).reshape(-1, 2),
            np.array(self._pixels, np.int64).reshape(-1, self.num_classes),
        )


def appearance_of(image: NDArray[np.uint8]) -> tuple[float, ...]:
    """Return `APPEARANCE` of uint8[H, W, 3]."""
    grey = image.astype(np.float32) @ _GREY
    balance = float(image[..., 0].mean(dtype=np.float64) - image[..., 2].mean(dtype=np.float64))
    bends = np.abs(2 * grey[:, 1:-1] - grey[:, :-2] - grey[:, 2:])
    return float(grey.mean()), balance, float(grey.std()), float(bends.mean()) if bends.size else 0.0
