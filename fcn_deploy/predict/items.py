"""The images one by one, each with its place in the order and the function that decodes it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ..data.images import load_image
from ..errors import ImageError
from .sources import Source
from .video import count_frames, frames


@dataclass(frozen=True)
class Item:
    """One image to be.

    Attributes:
        index: 0, 1, 2, ... without a gap.
        name: what its results are named after; a frame's is "clip.mp4/000041".
        load: gives uint8[H, W, 3] RGB, from any thread; ImageError if it cannot.
    """

    index: int
    name: PurePosixPath
    load: Callable[[], NDArray[np.uint8]]


def items(sources: Sequence[Source]) -> Iterator[Item]:
    """Every image, and every frame of a video; a video that breaks off ends with an item that cannot be loaded."""
    numbers = count()
    for source in sources:
        if source.is_video:
            yield from _frames(source, numbers)
        else:
            yield Item(next(numbers), source.name, _file_loader(source.path))


def count_items(sources: Sequence[Source]) -> int | None:
    """How many there will be; None where a video does not say."""
    counts = [count_frames(source.path) if source.is_video else 1 for source in sources]
    return None if None in counts else sum(number or 0 for number in counts)


def _frames(source: Source, numbers: Iterator[int]) -> Iterator[Item]:
    frame = -1
    try:
        for frame, load in enumerate(frames(source.path)):
            yield Item(next(numbers), frame_name(source.name, frame), load)
    except ImageError as error:
        yield Item(next(numbers), frame_name(source.name, frame + 1), _raiser(error))


def frame_name(video: PurePosixPath, number: int) -> PurePosixPath:
    """ "clip.mp4/000041" """
    return video / f"{number:06}"


def _file_loader(path: Path) -> Callable[[], NDArray[np.uint8]]:
    def load() -> NDArray[np.uint8]:
        try:
            kind = path.stat().st_mode
        except OSError:
            return load_image(path)  # which says what is wrong with it
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise ImageError(f"{path} is a device or a pipe; needed an image file")
        return load_image(path)

    return load


def _raiser(error: ImageError) -> Callable[[], NDArray[np.uint8]]:
    def load() -> NDArray[np.uint8]:
        raise error

    return load
