"""List images one by one, each with its index and the function that decodes it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.data.images import load_image
from fcn_deploy.errors import DataError, ImageError
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.images.video import count_frames, frames

MOST_SAMPLED = 10


@dataclass(frozen=True)
class LazyImage:
    """An image that is not decoded yet.

    Attributes:
        index: 0, 1, 2, ... without a gap.
        name: what its results are named after; a frame's is "clip.mp4/000041".
        load: returns uint8[H, W, 3] RGB, from any thread; ImageError if it cannot.
        portable: whether another process may call `load`.
    """

    index: int
    name: PurePosixPath
    load: Callable[[], NDArray[np.uint8]]
    portable: bool = False


def iterate_images(sources: Sequence[ImageSource]) -> Iterator[LazyImage]:
    """Yield every image, and every frame of a video; a broken video ends with one that cannot be loaded."""
    numbers = count()
    for source in sources:
        if source.is_video:
            yield from _frames(source, numbers)
        else:
            yield LazyImage(next(numbers), source.name, partial(_load_source, source), portable=True)


def first_image(sources: Sequence[ImageSource]) -> NDArray[np.uint8] | None:
    """Return the first image that can be decoded, of the first few; None if there is none."""
    for item in islice(iterate_images(sources), MOST_SAMPLED):
        with suppress(DataError, MemoryError):
            return item.load()
    return None


def count_images(sources: Sequence[ImageSource]) -> int | None:
    """Return how many images there will be; None if a video does not say."""
    counts = [_count(source) for source in sources]
    return None if None in counts else sum(number or 0 for number in counts)


def _count(source: ImageSource) -> int | None:
    if not source.is_video:
        return 1
    return count_frames(source.path) if source.storage is None else None


def _frames(source: ImageSource, numbers: Iterator[int]) -> Iterator[LazyImage]:
    frame = -1
    try:
        with source.local() as path:
            for frame, load in enumerate(frames(path)):
                yield LazyImage(next(numbers), frame_name(source.name, frame), load)
    except DataError as error:
        yield LazyImage(next(numbers), frame_name(source.name, frame + 1), _raise_later(error))


def frame_name(video: PurePosixPath, number: int) -> PurePosixPath:
    """Return the name of a frame, as "clip.mp4/000041"."""
    return video / f"{number:06}"


def _load_source(source: ImageSource) -> NDArray[np.uint8]:
    with source.local() as path:
        return _load(path)


def _load(path: Path) -> NDArray[np.uint8]:
    try:
        kind = path.stat().st_mode
    except OSError:
        return load_image(path, writable=False)  # which reports what is wrong with it
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise ImageError(f"{path} is a device or a pipe; expected an image file")
    return load_image(path, writable=False)


def _raise_later(error: DataError) -> Callable[[], NDArray[np.uint8]]:
    def load() -> NDArray[np.uint8]:
        raise error

    return load
