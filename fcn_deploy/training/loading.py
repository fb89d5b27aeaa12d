"""Load batches of augmented images, the same for a seed and an epoch, whichever processes load them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from fcn_deploy.data.dataset import Dataset
from fcn_deploy.errors import DataError, TrainingError
from fcn_deploy.system.interrupt import ENDING

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
    for number in ENDING:  # they reach every process of a group, while the parent's step is finished and saved
        signal.signal(number, signal.SIG_IGN)


def fill_colour(mean: tuple[float, float, float], channel_order: str) -> tuple[int, int, int]:
    """Return the card's mean as an RGB pixel: what the network sees as (almost) zero."""
    red, green, blue = (int(value) for value in np.rint(mean if channel_order == "RGB" else mean[::-1]))
    return red, green, blue


@dataclass(frozen=True)
class Augmentation:
    """What may be done to a training image.

    Attributes:
        crop: height and width of the result, in pixels.
        scale: smallest and largest magnification.
        flip: whether half of the results are mirrored left to right.
        fill: RGB (0..255) beyond the image's edge.
        ignore_index: label beyond the image's edge.
    """

    crop: tuple[int, int]
    scale: tuple[float, float]
    flip: bool
    fill: tuple[int, int, int]
    ignore_index: int


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the random numbers of one image in one epoch, whichever process draws them."""
    return np.random.default_rng((seed, epoch, index))


def augment(
    image: NDArray[np.uint8], label: NDArray[np.integer], how: Augmentation, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a random window from an image and resize it to the crop.

    Cutting before resizing costs the same for an image of any size. The window may reach beyond an image that is
    smaller than it; there the result holds `fill` and `ignore_index`.

    Args:
        image: uint8[H, W, 3] RGB.
        label: integer[H, W].

    Returns:
        uint8[h, w, 3] and int64[h, w] with (h, w) = `how.crop`.
    """
    magnification = float(np.exp(random.uniform(*np.log(how.scale))))
    height, width = (max(1, round(side / magnification)) for side in how.crop)
    top, left = (_origin(side, window, random) for side, window in zip(label.shape, (height, width), strict=True))
    mirror = how.flip and bool(random.integers(2))
    pixels = _window(image, top, left, height, width, np.array(how.fill, np.uint8))
    labels = _window(label, top, left, height, width, np.array(how.ignore_index, label.dtype))
    if mirror:
        pixels, labels = pixels[:, ::-1], labels[:, ::-1]
    return _resize_image(pixels, how.crop), _resize_label(labels, how.crop)


def _origin(side: int, window: int, random: np.random.Generator) -> int:
    """Return the first row or column of a window inside the image or, if the window is larger, around it."""
    low, high = sorted((0, side - window))
    return int(random.integers(low, high + 1))


def _window(source: NDArray, top: int, left: int, height: int, width: int, fill: NDArray) -> NDArray:  # type: ignore[type-arg]
    """Return rows top..top+height and columns left..left+width of `source`, `fill` where there are none."""
    rows = slice(max(0, top), min(source.shape[0], top + height))
    columns = slice(max(0, left), min(source.shape[1], left + width))
    part = source[rows, columns]
    if part.shape[:2] == (height, width):
        return part
    result = np.empty((height, width, *source.shape[2:]), source.dtype)
    result[...] = fill
    row, column = rows.start - top, columns.start - left
    result[row : row + part.shape[0], column : column + part.shape[1]] = part
    return result


def _resize_image(pixels: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """Return uint8[H, W, 3] -> uint8[h, w, 3], bilinear with half-pixel centres, low-pass filtered where it shrinks."""
    batch = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    if batch.shape[-2:] == size:
        return batch[0].permute(1, 2, 0)
    resized = interpolate(batch, size=size, mode="bilinear", align_corners=False, antialias=True)
    return resized[0].permute(1, 2, 0)


def _resize_label(labels: NDArray[np.integer], size: tuple[int, int]) -> Tensor:
    """Return integer[H, W] -> int64[h, w]: the label under each new pixel's centre."""
    rows, columns = (_nearest(old, new) for old, new in zip(labels.shape, size, strict=True))
    return torch.from_numpy(labels[rows[:, None], columns].astype(np.int64))


def _nearest(old: int, new: int) -> NDArray[np.int64]:
    """Return the old index under the centre of each of `new` pixels: floor((i + 0.5) * old / new), in integers."""
    return (2 * np.arange(new) + 1) * old // (2 * new)
