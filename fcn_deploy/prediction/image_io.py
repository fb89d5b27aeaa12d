"""Decode each image before the inference and write its results after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import DataError, ImageError, RunnerError
from fcn_deploy.prediction.image_states import FinishedImage, LabelledImage, LoadedImage
from fcn_deploy.prediction.images.lazy_images import LazyImage
from fcn_deploy.prediction.inference import Lanes
from fcn_deploy.prediction.outputs import Outputs
from fcn_deploy.prediction.pipeline import Bounds, Pending, batch_images, infer_batches, prefetch
from fcn_deploy.prediction.report import count_pixels, mean_confidence
from fcn_deploy.prediction.stage_clock import DECODING, WRITING, StageClock
from fcn_deploy.runners.checks.labels import check_labels

Value = TypeVar("Value")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ImageIO:
    """How images are decoded and their results written; its methods run in threads or processes.

    Attributes:
        num_classes: C; 0 where it is not known.
        count: whether each image's pixels are counted, also of results that are there already.
        skip: whether images whose results are there are left out.
    """

    outputs: Outputs
    num_classes: int
    count: bool = False
    skip: bool = False

    def load(self, item: LazyImage) -> LoadedImage | FinishedImage:
        """Decode an image; return it finished if its results exist already or it cannot be used."""
        try:
            if self.skip and self.outputs.exist(item.name):
                pixels, confidence = self.count_existing(item)
                return FinishedImage(item.index, item.name, pixels, skipped=True, confidence=confidence)
            return LoadedImage(item.index, item.name, item.load())
        except DataError as error:
            return FinishedImage(item.index, item.name, error=error)
        except MemoryError:
            refused = ImageError(f"{item.name} needs more memory than there is; cut it into tiles first")
            return FinishedImage(item.index, item.name, error=refused)

    def write(self, value: LabelledImage | FinishedImage) -> FinishedImage:
        """Write an image's results; OutputError if that fails."""
        if isinstance(value, FinishedImage):
            return value
        loaded, labels = value.loaded, value.labels
        try:
            if self.num_classes:
                check_labels("the model", labels, self.num_classes)
        except RunnerError as error:
            return FinishedImage(loaded.index, loaded.name, error=error)
        confidence = value.confidence
        self.outputs.write(loaded.name, loaded.image, labels, confidence)
        mean = None if confidence is None else mean_confidence(confidence)
        return FinishedImage(loaded.index, loaded.name, self._count(labels), confidence=mean)

    def _count(self, labels: NDArray[Any]) -> NDArray[np.int64] | None:
        return count_pixels(labels, self.num_classes) if self.count else None

    def count_existing(self, item: LazyImage) -> tuple[NDArray[np.int64] | None, float | None]:
        """Return the pixels of each class, and the mean confidence, of existing results; None if not counted."""
        if not self.count:
            return None, None
        labels, path = self.outputs.read(item.name), self.outputs.label_path(item.name)
        try:
            check_labels(str(path), labels, self.num_classes)
        except RunnerError as error:
            raise DataError(f"{error}: it is another model's; remove it, or leave --skip-existing out") from error
        confidence = None if self.outputs.confidence is None else self.outputs.read_confidence(item.name)
        return self._count(labels), None if confidence is None else mean_confidence(confidence)


class ImageWorkers(Protocol):
    """The interface of what runs an `ImageIO` for several images at a time."""

    def load(self, item: LazyImage) -> Pending[LoadedImage | FinishedImage]:
        """Start `ImageIO.load`."""

    def write(self, value: LabelledImage | FinishedImage) -> Pending[FinishedImage]:
        """Start `ImageIO.write`."""

    def close(self) -> None:
        """Wait for what is under way; drop the rest."""


class ImageThreads:
    """A pool of `workers` threads."""

    def __init__(self, image_io: ImageIO, workers: int, clock: StageClock) -> None:
        self._image_io, self._clock = image_io, clock
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="image")

    def load(self, item: LazyImage) -> Future[LoadedImage | FinishedImage]:
        return self._pool.submit(self._timed, DECODING, self._image_io.load, item)

    def write(self, value: LabelledImage | FinishedImage) -> Future[FinishedImage]:
        return self._pool.submit(self._timed, WRITING, self._image_io.write, value)

    def _timed(self, stage: str, function: Callable[[Value], Result], value: Value) -> Result:
        started = time.perf_counter()
        try:
            return function(value)
        finally:
            self._clock.add_work(stage, time.perf_counter() - started)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def label_images(
    work: Iterable[LazyImage], pool: ImageWorkers, lanes: Lanes, batch: int, bounds: Bounds, clock: StageClock
) -> Iterator[FinishedImage]:
    """Yield each image when it is finished, then close `pool`; at most `bounds.images` decoded images are held."""
    with closing(pool):
        loaded = prefetch(pool.load, work, bounds.decoded, clock, DECODING)
        labelled = infer_batches(batch_images(loaded, batch, bounds.grouped), lanes, clock)
        yield from prefetch(pool.write, labelled, bounds.written, clock, WRITING)
