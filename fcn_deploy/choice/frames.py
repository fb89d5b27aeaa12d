"""Hold the labelled frames on which candidates are scored, in an order whose every beginning is spread over the set."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ignore_index_for
from fcn_deploy.data.dataset import Dataset, OnError, iterate
from fcn_deploy.data.digests import Frames
from fcn_deploy.data.sample import Sample, Subset
from fcn_deploy.errors import DataError
from fcn_deploy.system.progress import SILENT, Progress, track

KEPT_BYTES = 512 << 20


def spread_order(count: int) -> list[int]:
    """Return 0 .. count-1 so that the first n are spread over all of them for every n: the order of van der Corput."""
    bits = max(1, (count - 1).bit_length())
    reversed_bits = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(1 << bits))
    return [number for number in reversed_bits if number < count]


class LabelledFrames:
    """The frames in the order in which they are scored; up to 512 MiB of them stay decoded.

    Attributes:
        classes: names, index = label.
        present: bool[C], whether the ground truth has the class.
        digest: SHA-256 of all pixels and labels in this order.
        seen: the images, as `data.digests.overlap` compares them.
        left_out: how many could not be used.
    """

    def __init__(
        self,
        dataset: Dataset,
        classes: tuple[str, ...],
        *,
        on_error: OnError = "raise",
        progress: Progress = SILENT,
    ) -> None:
        """Decode every frame once.

        Raises:
            DataError: one cannot be used or has no labels, or all pixels are unlabelled.
        """
        self.name, self.classes = dataset.name, classes
        self.ignore_index = ignore_index_for(len(classes))
        self.seen = Frames()
        self._dataset, self._on_error = Subset(dataset, spread_order(len(dataset))), on_error
        self._kept: list[Sample] = []
        self._kept_bytes = 0
        pixels = np.zeros(len(classes), np.int64)
        state = hashlib.sha256()
        samples = iterate(self._dataset, on_error=on_error, progress=progress)
        for sample in track(progress, f"reading {dataset.name}", samples, len(dataset)):
            label = required_label(sample)
            self.seen.add(sample)
            state.update(f"{self.seen.digests[-1]} {label.shape} ".encode() + label.tobytes())
            counted = label[(label != self.ignore_index) & (label >= 0) & (label < len(classes))]
            pixels += np.bincount(counted.ravel(), minlength=len(classes))
            self._keep(sample)
        self.left_out = len(dataset) - len(self)
        self.digest, self.present = state.hexdigest(), pixels > 0
        if not self.present.any():
            raise DataError(f"{dataset.name} has no labelled pixel; expected a labelled data set (--data)")

    def __len__(self) -> int:
        return len(self.seen.names)

    def part(self, first: int, last: int) -> list[Sample]:
        """Return the frames first .. last - 1."""
        if last <= len(self._kept):
            return self._kept[first:last]
        usable = iterate(self._dataset, on_error=self._on_error)
        return [sample for place, sample in enumerate(usable) if first <= place < last]

    def _keep(self, sample: Sample) -> None:
        size = sample.image.nbytes + (0 if sample.label is None else sample.label.nbytes)
        if len(self._kept) == len(self) - 1 and self._kept_bytes + size <= KEPT_BYTES:
            self._kept.append(sample)
            self._kept_bytes += size


def required_label(sample: Sample) -> NDArray[Any]:
    """Return the labels of a frame; DataError if it has none."""
    if sample.label is None:
        raise DataError(f"{sample.name} has no labels; choose needs a labelled data set (--data, --labels)")
    return sample.label
