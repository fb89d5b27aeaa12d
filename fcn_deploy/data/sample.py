"""Define samples and data sets, whatever files they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
LabelPair = tuple[NDArray[Any], NDArray[Any]]  # [H, W] each: the values in the file, and the labels as in `Sample`


@dataclass(frozen=True)
class Sample:
    """One image and what is known of it.

    Attributes:
        image: uint8[H, W, 3], RGB.
        label: uint8[H, W] with 255 where unlabelled; int32[H, W] with -1 above 255 classes; None without labels.
        name: the image file as its list gave it, or "synthetic:SEED:INDEX".
        merged: integer[C], the class that each class of a model counts as against this label; None for itself.
    """

    image: NDArray[np.uint8]
    label: NDArray[Any] | None
    name: str
    merged: NDArray[Any] | None = None

    def counted(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return a model's labels, of any shape, as they count against the label."""
        return labels if self.merged is None else self.merged[labels]


class Dataset(Protocol):
    """Samples by index, read again each time; indexing is safe from several threads."""

    @property
    def name(self) -> str:
        """What was opened, for titles and records."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, index = label; empty for images without labels whose classes are not named."""

    @property
    def palette(self) -> tuple[Colour, ...]:
        """One RGB triple a class."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def read_label(self, index: int) -> LabelPair | None:
        """Decode the label map of a sample alone; None without labels."""


class Subset:
    """Some samples of a data set, in the order of `indices`."""

    def __init__(self, whole: Dataset, indices: Sequence[int]) -> None:
        self.whole, self.indices = whole, indices
        self.name, self.classes, self.palette = whole.name, whole.classes, whole.palette

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.whole[self.indices[index]]

    def read_label(self, index: int) -> LabelPair | None:
        return self.whole.read_label(self.indices[index])


def evenly_spaced(dataset: Dataset, limit: int) -> Dataset:
    """Return `limit` samples spread evenly over `dataset`, the first one included; all of it if it has no more.

    Evenly, because a list's neighbours are often frames of one video.
    """
    count = len(dataset)
    return dataset if limit >= count else Subset(dataset, [step * count // limit for step in range(limit)])
