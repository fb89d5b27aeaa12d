"""Identify images by their pixels: repeats within a set, and frames that are in two sets.

Files are not compared: the same frame saved as JPEG and PNG, renamed or with other metadata, counts as the same only
if it decodes to the same pixels. Neighbouring frames of one video differ and are not found.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.data.dataset import Dataset, OnError, Sample, iterate
from fcn_deploy.system.progress import SILENT, Progress, track


def pixel_digest(image: NDArray[np.uint8]) -> str:
    """Return SHA-256 of the size and the pixels of uint8[H, W, 3], hexadecimal."""
    state = hashlib.sha256(repr(image.shape).encode())
    state.update(np.ascontiguousarray(image).data)
    return state.hexdigest()


@dataclass
class Frames:
    """The images of a set in their order.

    Attributes:
        names: as the data set gave them.
        digests: `pixel_digest` of each.
    """

    names: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        self.names.append(sample.name)
        self.digests.append(pixel_digest(sample.image))

    @property
    def repeated(self) -> tuple[tuple[str, ...], ...]:
        """Groups of names whose pixels are the same, in the order of their first."""
        groups = defaultdict(list)
        for name, digest in zip(self.names, self.digests, strict=True):
            groups[digest].append(name)
        return tuple(tuple(names) for names in groups.values() if len(names) > 1)


@dataclass(frozen=True)
class Overlap:
    """Calibration images that are validation images too.

    Attributes:
        shared: (calibration name, validation name) of each such calibration image.
        calibration, validation: images in either set.
    """

    shared: tuple[tuple[str, str], ...]
    calibration: int
    validation: int


def overlap(calibration: Frames, validation: Frames) -> Overlap:
    """Return which of the calibration images are in the validation set as well, pixel for pixel."""
    first = dict(zip(reversed(validation.digests), reversed(validation.names), strict=True))
    pairs = zip(calibration.names, calibration.digests, strict=True)
    shared = tuple((name, first[digest]) for name, digest in pairs if digest in first)
    return Overlap(shared, len(calibration.names), len(validation.names))


def frames_of(dataset: Dataset, *, on_error: OnError = "raise", progress: Progress = SILENT) -> Frames:
    """Decode a whole data set for the sake of `overlap`; who goes through it anyway calls `Frames.add` on the way."""
    frames = Frames()
    samples = iterate(dataset, on_error=on_error, progress=progress)
    for sample in track(progress, f"reading {dataset.name}", samples, len(dataset)):
        frames.add(sample)
    return frames
