"""Batches in an order that depends on the seed and the epoch alone, from any number of processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from fcn_deploy.data.dataset import Dataset
from fcn_deploy.errors import DataError, TrainingError
from fcn_deploy.training.augment import Augmentation, augment, generator

Key = tuple[int, int]  # epoch, index of the image in the data set
_ORDER_STREAM = 1 << 32  # an index no image has: keeps the order's random numbers apart from the images'


@dataclass
class Batch:
    """Some training images, the same size each.

    Attributes:
        images: uint8[N, h, w, 3] RGB; N is 0 if none could be used.
        labels: int64[N, h, w].
        errors: what was wrong with each image that is missing.
    """

    images: Tensor
    labels: Tensor
    errors: list[DataError]

    def pin_memory(self) -> Batch:
        """Copy into page-locked memory, from which a GPU reads while it computes (called by the DataLoader)."""
        return Batch(self.images.pin_memory(), self.labels.pin_memory(), self.errors)


class BatchKeys:
    """The images of each step from `start_step` to the end of the last epoch; iterate more than once at will.

    Every epoch visits each image once in an order drawn from (seed, epoch); its last batch may be smaller.
    """

    def __init__(self, count: int, batch: int, epochs: int, seed: int, start_step: int = 0) -> None:
        self.count, self.batch, self.epochs, self.seed, self.start_step = count, batch, epochs, seed, start_step
        self.steps_per_epoch = -(-count // batch)

    def __len__(self) -> int:
        return self.epochs * self.steps_per_epoch - self.start_step

    def __iter__(self) -> Iterator[list[Key]]:
        first_epoch, first_batch = divmod(self.start_step, self.steps_per_epoch)
        for epoch in range(first_epoch, self.epochs):
            order = generator(self.seed, epoch, _ORDER_STREAM).permutation(self.count).tolist()
            for start in range(first_batch * self.batch, self.count, self.batch):
                yield [(epoch, index) for index in order[start : start + self.batch]]
            first_batch = 0


class TrainingImages(TorchDataset[tuple[Tensor, Tensor] | DataError]):
    """A data set's images, augmented; an item is found by (epoch, index). Can be pickled to a worker process."""

    def __init__(self, dataset: Dataset, augmentation: Augmentation, seed: int) -> None:
        self.dataset, self.augmentation, self.seed = dataset, augmentation, seed

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor] | DataError:
        """Return image uint8[h, w, 3] and label int64[h, w], or what is wrong with them.

        Returned, not raised, because a worker process would bury the message in its own traceback.
        """
        epoch, index = key
        try:
            sample = self.dataset[index]
        except DataError as error:
            return error
        if sample.label is None:
            return DataError(f"{sample.name} has no labels; training needs a label for every image")
        return augment(sample.image, sample.label, self.augmentation, generator(self.seed, epoch, index))


def collate(items: list[tuple[Tensor, Tensor] | DataError]) -> Batch:
    """Stack the images that can be used."""
    good = [item for item in items if not isinstance(item, DataError)]
    errors = [item for item in items if isinstance(item, DataError)]
    if not good:
        return Batch(torch.empty(0, 1, 1, 3, dtype=torch.uint8), torch.empty(0, 1, 1, dtype=torch.int64), errors)
    images, labels = zip(*good, strict=True)
    return Batch(torch.stack(images), torch.stack(labels), errors)


def loader(images: TrainingImages, keys: BatchKeys, *, workers: int, pin_memory: bool) -> DataLoader[Batch]:
    """Load batches of `images` in the order of `keys`; one loader serves all epochs, so workers start once."""
    return DataLoader(
        images,  # type: ignore[arg-type]
        batch_sampler=keys,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        worker_init_fn=_leave_interrupts_to_parent,
    )


@contextmanager
def worker_advice(workers: int) -> Iterator[None]:
    """Turn the death of a loading process into one line.

    Around the whole loop, not the loader alone: PyTorch raises from its SIGCHLD handler, wherever the main thread is.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            "a loading process ended unexpectedly (out of memory, or shared memory too small?); "
            f"--resume with fewer --workers than {workers}"
        ) from error


def _leave_interrupts_to_parent(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def fill_colour(mean: tuple[float, float, float], channel_order: str) -> tuple[int, int, int]:
    """Return the card's mean as an RGB pixel: what the network sees as (almost) zero."""
    red, green, blue = (int(value) for value in np.rint(mean if channel_order == "RGB" else mean[::-1]))
    return red, green, blue
