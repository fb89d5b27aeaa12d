"""Count what a run did: images, time, the images that could not be used, and the pixels of each class."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import DataError, RunnerError
from fcn_deploy.graph.confidence import FULL
from fcn_deploy.prediction.image_states import FinishedImage
from fcn_deploy.system.escape import cell
from fcn_deploy.system.files import atomic_path
from fcn_deploy.system.serialization.plain import plain

SCHEMA = 1
MEAN_CONFIDENCE = "mean confidence"
# An error of the runner can be due to one image (too large for the memory); this many in a row are due to the runner.
MAX_CONSECUTIVE_RUNNER_ERRORS = 3


@dataclass(frozen=True)
class Failure:
    """An image without results, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class PredictReport:
    """What `predict` did.

    Attributes:
        written: images whose results were written; skipped: whose results were there.
        seconds: from the first image to the last, the opening of the model not included.
        pixels: of each class in `classes`, skipped images included; None where they were not counted.
        waited: the part of the time, 0..1, spent waiting for each stage; None of tiles and of a cluster.
        first_s: the part of `seconds` up to the first result; on a GPU, choosing kernels may be most of it.
    """

    model: str
    runner: str
    target: str
    format: str
    written: int
    skipped: int
    failures: tuple[Failure, ...]
    seconds: float
    classes: tuple[str, ...]
    pixels: tuple[int, ...] | None
    notes: tuple[str, ...] = ()
    waited: dict[str, float] | None = None
    first_s: float = 0.0

    @property
    def images_per_s(self) -> float:
        return self.written / self.seconds if self.seconds > 0 else 0.0

    @property
    def images_per_s_after_first(self) -> float:
        return (self.written - 1) / (self.seconds - self.first_s) if self.seconds > self.first_s else 0.0

    def to_plain(self) -> dict[str, Any]:
        """Return counts, time and failures as JSON holds them."""
        return {"schema": SCHEMA, "kind": "predict", **plain(self), "images_per_s": self.images_per_s}


@dataclass
class RunCounts:
    """Counts so far, updated for each finished image."""

    written: int = 0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)
    first_s: float = 0.0
    _refused: int = 0
    _started: float = field(default_factory=time.perf_counter)

    def add(self, finished: FinishedImage) -> None:
        """Count one more image; RunnerError if the runner failed for several in a row."""
        self._refused = self._refused + 1 if isinstance(finished.error, RunnerError) else 0
        if finished.error is not None:
            self.failures.append(Failure(str(finished.name), str(finished.error)))
            if self._refused == MAX_CONSECUTIVE_RUNNER_ERRORS:
                raise RunnerError(f"{self._refused} images in a row failed; last {finished.name}: {finished.error}")
        elif finished.skipped:
            self.skipped += 1
        else:
            self.written += 1
            self.first_s = self.first_s or self.seconds()

    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def rate(self) -> float:
        """Return images written per second, so far."""
        return self.written / max(self.seconds(), 1e-9)

    def check(self) -> None:
        """Raise DataError if no image at all could be used."""
        if self.failures and not self.written and not self.skipped:
            first = self.failures[0].reason
            if len(self.failures) == 1:
                raise DataError(first)
            raise DataError(f"none of the {len(self.failures)} images could be used; first: {first}")


class AreaTable:
    """Rows `image, pixels, CLASS, CLASS, ...`, one for each image that has results, in their order.

    With `confidence` the last column is the mean confidence of the image's labels, 0..1.
    """

    def __init__(self, writer: Any, classes: Sequence[str], confidence: bool = False) -> None:
        self._writer, self._confidence = writer, confidence
        writer.writerow(["image", "pixels", *map(cell, classes), *([MEAN_CONFIDENCE] if confidence else [])])
        self.total: NDArray[np.int64] = np.zeros(len(classes), np.int64)

    def add(self, finished: FinishedImage) -> None:
        """Write a row for an image whose pixels were counted."""
        if finished.pixels is not None:
            row = [cell(str(finished.name)), int(finished.pixels.sum()), *finished.pixels.tolist()]
            sure = finished.confidence
            self._writer.writerow([*row, *(["" if sure is None else f"{sure:.4f}"] if self._confidence else [])])
            self.total += finished.pixels


@contextmanager
def open_area_table(target: Path, classes: Sequence[str], confidence: bool = False) -> Iterator[AreaTable]:
    """Open a table that becomes the file `target` if the block succeeds; OutputError if it cannot be written."""
    with atomic_path(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        yield AreaTable(csv.writer(stream), classes, confidence)


def count_pixels(labels: NDArray[Any], num_classes: int) -> NDArray[np.int64]:
    """Return int64[C]: the pixels of each class in integer[H, W] labels in [0, C)."""
    return np.bincount(labels.reshape(-1), minlength=num_classes).astype(np.int64)


def mean_confidence(confidence: NDArray[np.uint8]) -> float:
    """Return the mean of uint8[H, W] confidence as a share, 0..1."""
    return float(confidence.mean(dtype=np.float64)) / FULL
