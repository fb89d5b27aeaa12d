"""Count, image by image, what a quantised network sees in a set of images.

A set of images is compared with the calibration set by these counts. They are kept for each image, because images are
the unit that is drawn when the comparison asks how far two sets of one kind are apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.metrics.agreement import AgreementCounts
from fcn_deploy.quantization.calibration.image_profile import ImageProfile, ProfileCollector

Range = tuple[float, float]
REGIONS = ("all", "boundary", "low margin")


@dataclass(frozen=True)
class LabelChanges:
    """Labels that the quantised network gives otherwise than the FP32 network, image by image.

    Attributes:
        differing, pixels: int64[I, 3], of how many pixels in each of `REGIONS`; no pixels where nothing is known.
        margin: a pixel is of low margin if FP32's two best logits are closer than this; None without logits.
    """

    differing: NDArray[np.int64]
    pixels: NDArray[np.int64]
    margin: float | None


@dataclass(frozen=True)
class ImageStatistics:
    """A set of I images, with T quantised tensors and C classes.

    Attributes:
        ranges: tensor -> (low, high) that its 8 bits cover, T of them.
        values, beyond: float64[I, T], values of each tensor, and those of them outside its range.
        excess: float64[T], how far the farthest value lies outside, in widths of the range; 0 if none does.
        profile: what the images look like, and which classes they show.
        changes: None where two networks were not compared; of fewer images where not all were compared.
    """

    ranges: Mapping[str, Range]
    values: NDArray[np.float64]
    beyond: NDArray[np.float64]
    excess: NDArray[np.float64]
    profile: ImageProfile
    changes: LabelChanges | None = None

    @property
    def images(self) -> int:
        return self.profile.images


@dataclass
class StatisticsCollector:
    """`ImageStatistics` that grow image by image.

    Attributes:
        num_classes: C.
        margin: below which a margin is low; None takes the lowest tenth of the first image's margins.
        radius: half width of the boundary band in pixels.
    """

    ranges: Mapping[str, Range]
    num_classes: int
    margin: float | None = None
    radius: int = 3
    _tensors: list[NDArray[np.float64]] = field(default_factory=list)
    _changes: list[tuple[tuple[int, int], ...]] = field(default_factory=list)
    _profile: ProfileCollector = field(init=False)

    def __post_init__(self) -> None:
        self._profile = ProfileCollector(self.num_classes)

    def add(self, image: NDArray[np.uint8], tensors: Mapping[str, NDArray[Any]], labels: NDArray[Any]) -> None:
        """Count uint8[H, W, 3], the quantised tensors before they are quantised, and integer[H, W] labels."""
        rows = [count_beyond(tensors[name], *edges) for name, edges in self.ranges.items()]
        self._tensors.append(np.array(rows, np.float64).reshape(-1, 3))
        self._profile.add_image(image)
        self._profile.add_labels(labels)

    def add_changes(self, reference: NDArray[Any], labels: NDArray[Any], margins: NDArray[Any] | None) -> None:
        """Count labels integer[H, W] against the reference's, whose margins are float[H, W]."""
        if margins is not None and self.margin is None:
            self.margin = float(np.quantile(margins, 0.1))
        edges = None if margins is None or self.margin is None else [self.margin]
        counts = AgreementCounts(self.radius, edges)
        counts.update(reference, labels, margins)
        shares = [counts.overall, counts.boundary, *(each.share for each in counts.by_margin[:1])]
        found = [(share.pixels - share.agreed, share.pixels) for share in shares]
        self._changes.append((*found, *[(0, 0)] * (len(REGIONS) - len(found))))

    def result(self) -> ImageStatistics:
        """Return the counts so far."""
        tensors = np.array(self._tensors, np.float64).reshape(len(self._tensors), len(self.ranges), 3)
        return ImageStatistics(
            ranges=self.ranges,
            values=tensors[..., 0],
            beyond=tensors[..., 1],
            excess=tensors[..., 2].max(axis=0, initial=0.0),
            profile=self._profile.result(),
            changes=self._label_changes(),
        )

    def _label_changes(self) -> LabelChanges | None:
        if not self._changes:
            return None
        counted = np.array(self._changes, np.int64)
        return LabelChanges(counted[..., 0], counted[..., 1], self.margin)


def count_beyond(values: NDArray[Any], low: float, high: float) -> tuple[int, int, float]:
    """Return how many values there are, how many lie outside low..high, and how far the farthest, in widths."""
    if values.size == 0:
        return 0, 0, 0.0
    outside = int(np.count_nonzero(values < low)) + int(np.count_nonzero(values > high))
    farthest = max(low - float(values.min()), float(values.max()) - high, 0.0)
    return values.size, outside, farthest / (high - low) if high > low else 0.0


def chosen_rows(count: int, most: int) -> Sequence[int]:
    """Return up to `most` of the numbers 0..count - 1, spread evenly."""
    return range(count) if count <= most else [index * count // most for index in range(most)]
