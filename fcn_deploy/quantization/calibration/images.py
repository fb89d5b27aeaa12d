"""Open the calibration images: the same choice on every run, checked before the graph runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.data.dataset import Dataset, Sample, iterate
from fcn_deploy.data.digests import Frames, pixel_digest
from fcn_deploy.data.options import DataOptions, check_classes, open_unchecked, without_labels
from fcn_deploy.errors import DataError, ImageError
from fcn_deploy.graph.ports import GraphIO
from fcn_deploy.quantization.calibration.image_profile import ProfileCollector
from fcn_deploy.quantization.calibration.measure import Feeds
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import SILENT, Progress, track

# This many images are read before the work starts, to distinguish label maps from images.
_LOOK_AT = 5


@dataclass
class CalibrationContent:
    """What the calibration images contain.

    Attributes:
        classes: names, index = label; empty if they have no names.
        pixels: int64[C] labelled pixels of each class; None where the set has no labels.
        frames: the images, in the order in which they are run.
        few_colours: names of those that have no more colours than a label map would have.
    """

    classes: tuple[str, ...]
    pixels: NDArray[np.int64] | None = None
    frames: Frames = field(default_factory=Frames)
    few_colours: list[str] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        self.frames.add(sample)
        limit = _most_colours(len(self.classes))
        # A few thousand pixels of a photograph have more colours already.
        if _colours(sample.image[::7, ::7]) <= limit and _colours(sample.image) <= limit:
            self.few_colours.append(sample.name)
        if sample.label is not None and self.classes:
            counted = sample.label[(sample.label >= 0) & (sample.label < len(self.classes))]
            pixels = np.bincount(counted.reshape(-1), minlength=len(self.classes))
            self.pixels = pixels if self.pixels is None else self.pixels + pixels

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes without a pixel."""
        if self.pixels is None:
            return ()
        return tuple(name for name, count in zip(self.classes, self.pixels, strict=True) if count == 0)


@dataclass(frozen=True)
class CalibrationSet:
    """Images that `open_checked` has checked; they are decoded again each time they are needed.

    Attributes:
        options: how the set was asked for.
    """

    dataset: Dataset
    options: DataOptions
    coverage: CalibrationContent

    def feeds(self, io: GraphIO, profile: ProfileCollector | None = None) -> Iterator[Feeds]:
        """Yield what the graph takes, image by image, each added to `profile` first.

        Raises:
            DataError: the images are no longer those of the survey.
        """
        digests = iter(self.coverage.frames.digests)
        for sample in self._samples():
            if next(digests, None) != pixel_digest(sample.image):
                raise DataError(f"{sample.name} has changed since it was first read; start again")
            if profile is not None:
                profile.add_image(sample.image)
            yield {io.image: io.prepare(sample.image[None])}
        if next(digests, None) is not None:
            raise DataError(f"an image of {self.dataset.name} can no longer be read; start again")

    def first(self, count: int) -> list[NDArray[np.uint8]]:
        """Return up to `count` images, uint8[1, H, W, 3] each."""
        return [sample.image[None] for sample in islice(self._samples(), count)]

    def _samples(self) -> Iterator[Sample]:
        """Yield the usable images; `open_checked` reported the others."""
        return iterate(self.dataset, on_error=self.options.on_error)


def calibration_options(data: StrPath | DataOptions) -> DataOptions:
    """Return which images calibrate: of a source alone the train list, where there is one, and 100 images at most."""
    return DataOptions.of(data, split="train", limit=100)


def open_checked(card: ModelCard | None, options: DataOptions, progress: Progress = SILENT) -> CalibrationSet:
    """Open the calibration set and check every image of it before the graph runs.

    Raises:
        DataError: as for `open_images`; the first images are label maps; a file cannot be used.
    """
    dataset = open_images(card, options, progress)
    coverage = CalibrationContent(tuple(dataset.classes) or (card.classes if card is not None else ()))
    samples = iterate(dataset, on_error=options.on_error, progress=progress)
    first = list(islice(samples, _LOOK_AT))
    reject_label_maps(first, len(coverage.classes))
    for sample in track(progress, "reading calibration images", chain(first, samples), len(dataset)):
        coverage.add(sample)
    return CalibrationSet(dataset, options, coverage)


def open_images(card: ModelCard | None, options: DataOptions, progress: Progress = SILENT) -> Dataset:
    """Open the calibration set. Its labels only say which classes it shows: those of other classes are not read.

    Raises:
        DataError: it cannot be opened, or its first image cannot be used.
    """
    dataset = open_unchecked(options, card, progress)
    try:
        first = next(iter(iterate(dataset, on_error=options.on_error)))
        if card is not None and first.label is not None:
            check_classes(card, dataset.classes, dataset.name)
    except ImageError:
        raise
    except DataError as error:
        progress.say(f"the images of {dataset.name} are used without their labels: {error}")
        dataset = without_labels(dataset)
        next(iter(iterate(dataset, on_error=options.on_error)))
    return dataset


def reject_label_maps(samples: list[Sample], num_classes: int) -> None:
    """Raise DataError if all of `samples` have no more colours than a map of the classes would have.

    Args:
        num_classes: C; 0 if unknown, when 32 colours are taken for a label map.
    """
    counts = [_colours(sample.image) for sample in samples]
    if samples and max(counts) <= _most_colours(num_classes):
        raise DataError(
            f"{samples[0].name} has {counts[0]} colours in all, as a label map has and a photograph has not; "
            "expected the images and not their labels"
        )


def _most_colours(num_classes: int) -> int:
    """Return how many colours a label map of `classes` classes, or of an unknown number (0), may have."""
    return (num_classes or 31) + 1


def _colours(image: NDArray[np.uint8]) -> int:
    packed = image.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    return int(np.unique(packed).size)
