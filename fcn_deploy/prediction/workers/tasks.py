"""Define what an image process is asked to do, and what it answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from fcn_deploy.errors import FcnDeployError, ImageError
from fcn_deploy.prediction.image_io import ImageIO
from fcn_deploy.prediction.image_states import FinishedImage, LabelledImage, LoadedImage
from fcn_deploy.prediction.images.lazy_images import LazyImage
from fcn_deploy.prediction.workers.slots import Slots
from fcn_deploy.vocabulary import CONFIDENCE, LABELS


@dataclass(frozen=True)
class LoadTask:
    """An image to decode into a slot. The answer is its shape, or the image if it is finished."""

    item: LazyImage
    slot: int

    def run(self, image_io: ImageIO, slots: Slots) -> tuple[int, ...] | FinishedImage:
        loaded = share(image_io.load(self.item), slots, self.slot)
        return loaded if isinstance(loaded, FinishedImage) else loaded.image.shape


@dataclass(frozen=True)
class WriteTask:
    """An image whose labels, and with `confidence` theirs, are in its slot. The answer is the finished image."""

    index: int
    name: PurePosixPath
    slot: int
    shape: tuple[int, ...]
    dtype: str
    confidence: bool = False

    def run(self, image_io: ImageIO, slots: Slots) -> FinishedImage:
        loaded = LoadedImage(self.index, self.name, slots.image(self.slot, self.shape))
        tensors = {LABELS: slots.labels(self.slot, self.shape[:2], self.dtype)}
        if self.confidence:
            tensors[CONFIDENCE] = slots.confidence(self.slot, self.shape[:2])
        return image_io.write(LabelledImage(loaded, tensors))


Task = LoadTask | WriteTask


def share(loaded: LoadedImage | FinishedImage, slots: Slots, slot: int) -> LoadedImage | FinishedImage:
    """Return the image in its slot, or finished as too large for one; a finished image as it is."""
    if isinstance(loaded, FinishedImage):
        return loaded
    try:
        shared = slots.loaded(slot, loaded.index, loaded.name, loaded.image.shape)
    except MemoryError:
        refused = ImageError(f"{loaded.name} is too large; cut it into tiles (--tile 1024)")
        return FinishedImage(loaded.index, loaded.name, error=refused)
    np.copyto(shared.image, loaded.image)
    return shared


@dataclass(frozen=True)
class Answer:
    """What a task gave, in how many seconds; `value` is the error if it failed."""

    value: Any
    seconds: float

    @classmethod
    def to(cls, task: Task, image_io: ImageIO, slots: Slots) -> Answer:
        """Run `task`; an expected error is the answer, any other one escapes."""
        started = time.perf_counter()
        value: Any
        try:
            value = task.run(image_io, slots)
        except (FcnDeployError, OSError, MemoryError) as error:
            value = error
        return cls(value, time.perf_counter() - started)
