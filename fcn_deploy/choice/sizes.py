"""Say at which sizes a network is tried, and run it there: images are resized before it, labels back after it.

The file itself stays as it is: a smaller size means that the program that uses the file resizes each image (Pillow's
bilinear filter) and enlarges the label map by nearest neighbour. Both are in the time of a candidate, and its labels
are scored at the size of the ground truth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.benchmark.images import resized_image, resized_label
from fcn_deploy.errors import ShapeError
from fcn_deploy.network_size import MOST
from fcn_deploy.runners.base import Runner
from fcn_deploy.vocabulary import INPUT, LABELS, LONGEST_SIDE, Size, parse_size, shape_text


@dataclass(frozen=True)
class InputSize:
    """A share of each image's sides, or one height and width for all.

    Attributes:
        factor: what the sides are multiplied by; 1 leaves images as they are.
        fixed: (height, width), in place of the factor.
        divisor: of what the model's sides are multiples.
    """

    factor: float = 1.0
    fixed: Size | None = None
    divisor: int = 1

    @property
    def name(self) -> str:
        """Write "270x360" or "0.75"; "" for images as they are."""
        if self.fixed is not None:
            return shape_text(self.fixed)
        return "" if self.factor == 1 else f"{self.factor:g}"

    def of(self, size: Size) -> Size:
        """Return the (height, width) that the network gets for an image of `size`; no side becomes 0."""
        if self.fixed is not None:
            return self.fixed
        if self.factor == 1:
            return size
        height, width = (max(1, round(side * self.factor / self.divisor)) * self.divisor for side in size)
        return height, width


def parse_input_size(text: str, divisor: int = 1) -> InputSize:
    """Read "0.75" or "270x360".

    Raises:
        ShapeError: neither a factor above 0 and at most 4, nor a height and a width.
    """
    if "x" in text.lower():
        size = parse_size(text)
        if max(size) > LONGEST_SIDE:
            raise ShapeError(f"'{text}' has a side of more than {LONGEST_SIDE} pixels; give a smaller size")
        return InputSize(fixed=size, divisor=divisor)
    if not re.fullmatch(r"\d+(\.\d+)?", text.strip(), re.ASCII) or not 0 < float(text) <= MOST:
        raise ShapeError(f"'{text}' is not a size; write a factor as in 0.75 (at most {MOST}), or HxW as in 270x360")
    return InputSize(factor=float(text), divisor=divisor)


class ResizedRunner(Runner):
    """Another runner behind images of any size: it gets them resized, and its labels are resized back.

    The resizing of the image counts as upload, that of the labels as download.
    """

    def __init__(self, inner: Runner, size: InputSize) -> None:
        super().__init__(inner.name, inner.card)
        self._inner, self._size, self._given = inner, size, (0, 0)

    def _upload(self, image: NDArray[np.uint8]) -> None:
        self._given = (image.shape[1], image.shape[2])
        asked = self._size.of(self._given)
        self._inner.upload({INPUT: np.stack([resized_image(each, asked) for each in image])})

    def _execute(self) -> None:
        self._inner.execute()

    def _download(self) -> dict[str, NDArray[Any]]:
        labels = self._inner.download()[LABELS]
        return {LABELS: np.stack([resized_label(each, self._given) for each in labels])}

    def _close(self) -> None:
        self._inner.close()
