"""Decode the labelled images of a search once, and score labels against the truth and FP32's labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ignore_index_for
from fcn_deploy.data.dataset import Dataset, OnError, Sample, iterate
from fcn_deploy.data.digests import Frames
from fcn_deploy.errors import DataError
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.metrics.boundary import boundary_mask
from fcn_deploy.metrics.budget import ImageCounts
from fcn_deploy.metrics.scores import Counts, confusion_matrix, scores
from fcn_deploy.quantization.search.cache import TensorCache
from fcn_deploy.runners.checks.labels import check_labels
from fcn_deploy.system.progress import SILENT, Progress, track

Labels = NDArray[Any]
IMAGE, TRUTH, NEAR, REFERENCE = "image", "truth", "near", "reference"


@dataclass(frozen=True)
class PassResult:
    """One pass over all images.

    Attributes:
        overall, boundary: int64[I, C, C] of each image, row = true class, column = label: of every labelled pixel, and
            of those near label changes of the truth.
        same: pixels with FP32's label.
        seconds: wall time, the opening of the graph included.
        cpu_seconds: the same of all threads' processor time, which other processes hardly change.
    """

    overall: Counts
    boundary: Counts
    same: PixelShare
    seconds: float
    cpu_seconds: float

    @property
    def counts(self) -> ImageCounts:
        """What a budget is judged by."""
        return ImageCounts(self.overall, self.boundary, len(self.overall))

    @property
    def mean_iou(self) -> float:
        """In points, 0..100."""
        return 100 * scores(self.overall.sum(axis=0)).mean_iou

    @property
    def changed(self) -> float:
        """Share of the pixels whose label is not FP32's."""
        return 1 - self.same.fraction


class SearchImages:
    """Images and truth in a cache, and FP32's labels once `store_reference` was called for each.

    Attributes:
        classes: names, index = label.
        radius: half width in pixels of the band near label changes of the truth.
        frames: the images in their order.
        digest: SHA-256 of all pixels and labels in their order.
        largest, pixels: (H, W) of the largest image, and pixels of all.
    """

    def __init__(
        self,
        dataset: Dataset,
        classes: tuple[str, ...],
        cache: TensorCache,
        radius: int = 3,
        *,
        on_error: OnError = "raise",
        progress: Progress = SILENT,
    ) -> None:
        """Decode every image.

        Raises:
            DataError: one cannot be used, has no labels, or all pixels are unlabelled.
            OutputError: the disk is full.
        """
        self.classes, self.name, self.radius = classes, dataset.name, radius
        self.frames = Frames()
        self._cache, self._labelled = cache, 0
        self._ignore = ignore_index_for(len(classes))
        self.largest, self.pixels = (0, 0), 0
        state = hashlib.sha256()
        samples = iterate(dataset, on_error=on_error, progress=progress)
        for sample in track(progress, f"reading {dataset.name}", samples, len(dataset)):
            state.update(self._add(sample))
        self.digest = state.hexdigest()
        self.left_out = len(dataset) - len(self)
        if self._labelled == 0:
            raise DataError(f"{dataset.name} has no labelled pixel; expected a labelled data set (--data)")

    def __len__(self) -> int:
        return len(self.frames.names)

    @property
    def has_reference(self) -> bool:
        return self._cache.has(REFERENCE, len(self) - 1)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return uint8[1, H, W, 3]."""
        return self._cache.get(IMAGE, index)[IMAGE]

    def store_reference(self, index: int, labels: Labels) -> None:
        """Store FP32's labels of one image, [1, H, W]."""
        check_labels("the FP32 file", labels, len(self.classes))
        self._cache.put(REFERENCE, index, {REFERENCE: labels})

    def score(self, index: int, labels: Labels) -> tuple[Counts, Counts, PixelShare]:
        """Score one image's labels, [1, H, W].

        Returns:
            int64[C, C] counts of every labelled pixel and of those near label changes, and agreement with FP32.
        """
        check_labels("the rewritten graph", labels, len(self.classes))
        stored = self._cache.get(TRUTH, index)
        truth, near = stored[TRUTH], stored[NEAR]
        same = int(np.count_nonzero(labels == self._cache.get(REFERENCE, index)[REFERENCE]))
        overall, boundary = count_labels(truth, near, self._counted(labels), len(self.classes))
        return overall, boundary, PixelShare(same, labels.size)

    def _add(self, sample: Sample) -> bytes:
        """Store a sample; return bytes that identify it."""
        label = require_labels(sample)
        index = len(self)
        self._cache.put(IMAGE, index, {IMAGE: sample.image[None]})
        self._cache.put(TRUTH, index, {TRUTH: label[None], NEAR: boundary_mask(label[None], self.radius)})
        self._counted = sample.counted
        self.frames.add(sample)
        height, width = label.shape
        self._labelled += int(np.count_nonzero(label != self._ignore))
        self.pixels += height * width
        self.largest = max(self.largest, (height, width), key=lambda size: size[0] * size[1])
        return self.frames.digests[-1].encode() + label.tobytes()


def count_labels(truth: Labels, near: Labels, labels: Labels, classes: int) -> tuple[Counts, Counts]:
    """Return int64[C, C] of one image: of every labelled pixel, and of those `near` label changes of the truth."""
    ignore = ignore_index_for(classes)
    return (
        confusion_matrix(truth, labels, classes, ignore),
        confusion_matrix(truth[near], labels[near], classes, ignore),
    )


def require_labels(sample: Sample) -> Labels:
    """Return the labels of a sample; DataError if it has none."""
    if sample.label is None:
        raise DataError(f"{sample.name} has no labels; a search needs a labelled data set (--data, --data-labels)")
    return sample.label
