"""Stages that hand images on, each with a bound on what it holds: decode, group, infer, write.

A stage is a generator that the next one pulls from, so nothing runs ahead of the slowest by more than the bounds. The
threads of a pool decode and write; the caller's thread passes things along.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import DataError, RunnerError, ShapeError
from fcn_deploy.prediction.inference import Lanes

Value = TypeVar("Value")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Loaded:
    """A decoded image, uint8[H, W, 3]."""

    index: int
    name: PurePosixPath
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Labelled:
    """An image and its labels, uint8|int32[H, W]."""

    loaded: Loaded
    labels: NDArray[Any]


@dataclass(frozen=True)
class Ended:
    """An image that is done with: written, there already, or failed.

    Attributes:
        pixels: int64[C], pixels of each class; None if they were not counted.
        error: why there are no results.
    """

    index: int
    name: PurePosixPath
    pixels: NDArray[np.int64] | None = None
    error: DataError | ShapeError | RunnerError | None = None
    skipped: bool = False


@dataclass(frozen=True)
class Bounds:
    """How many images each stage may hold.

    Attributes:
        decoded: decoded or being decoded.
        grouped: waiting for others of their shape.
        inferred: on their way through the runner.
        written: labelled and not yet on the disk.
    """

    decoded: int
    grouped: int
    inferred: int
    written: int

    @classmethod
    def of(cls, workers: int, batch: int, slots: int) -> Bounds:
        """For `workers` threads and a runner that takes `slots` batches at a time: twice what each can be busy with."""
        return cls(workers + batch, 4 * batch if batch > 1 else 1, (slots + 1) * batch, 2 * workers + batch)

    @property
    def images(self) -> int:
        """Decoded images alive at any time, at most."""
        return self.decoded + self.grouped + self.inferred + self.written


def ahead(pool: Executor, function: Callable[[Value], Result], values: Iterable[Value], bound: int) -> Iterator[Result]:
    """`function` of each value, in order, computed by `pool` for at most `bound` values that were not yet asked for."""
    waiting: deque[Future[Result]] = deque()
    try:
        for value in values:
            waiting.append(pool.submit(function, value))
            del value
            if len(waiting) == bound:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


class Batches(Generic[Value]):
    """Groups images of one shape into batches, none of which waits for ever.

    A group leaves when it is full, or when its first image was followed by `window` others.
    """

    def __init__(self, size: int, window: int) -> None:
        self._size, self._window = size, window
        self._groups: dict[tuple[int, ...], list[Loaded]] = {}
        self._since: dict[tuple[int, ...], int] = {}
        self._seen = 0

    def add(self, loaded: Loaded) -> Iterator[list[Loaded]]:
        """The batches that leave because of `loaded`."""
        shape = loaded.image.shape
        self._seen += 1
        self._since.setdefault(shape, self._seen)
        self._groups.setdefault(shape, []).append(loaded)
        if len(self._groups[shape]) == self._size:
            yield self._leave(shape)
        while self._since and self._seen - next(iter(self._since.values())) >= self._window:
            yield self._leave(next(iter(self._since)))

    def rest(self) -> Iterator[list[Loaded]]:
        """What is left, at the end."""
        while self._since:
            yield self._leave(next(iter(self._since)))

    def _leave(self, shape: tuple[int, ...]) -> list[Loaded]:
        del self._since[shape]
        return self._groups.pop(shape)


def batched(values: Iterable[Loaded | Ended], size: int, window: int) -> Iterator[list[Loaded] | Ended]:
    """Images in batches of one shape; what has ended goes by."""
    batches: Batches[Loaded] = Batches(size, window)
    for value in values:
        if isinstance(value, Ended):
            yield value
        else:
            yield from batches.add(value)
        del value
    yield from batches.rest()


def inferred(values: Iterable[list[Loaded] | Ended], lanes: Lanes) -> Iterator[Labelled | Ended]:
    """The labels of every image; one that the runner refuses ends with its error, and the rest go on."""
    feed = _Feed(lanes)
    try:
        for value in values:
            if isinstance(value, Ended):
                yield value
            else:
                yield from feed.put(value)
            del value
        while feed.waiting:
            yield from feed.take()
    finally:
        for _, ticket in feed.waiting:
            lanes.drop(ticket)


class _Feed:
    """Batches under way. One that is refused (it has no memory, or an engine no profile for it) is tried in halves."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self.waiting: deque[tuple[list[Loaded], Any]] = deque()

    def put(self, batch: list[Loaded]) -> Iterator[Labelled | Ended]:
        """Start on a batch; gives the results of an earlier one if it takes its slot."""
        if len(self.waiting) == self._lanes.slots:
            yield from self.take()
        try:
            self.waiting.append((batch, self._lanes.submit(stacked(batch))))
        except (RunnerError, ShapeError) as error:
            yield from self._refused(batch, error)

    def take(self) -> Iterator[Labelled | Ended]:
        """Wait for the oldest batch."""
        batch, ticket = self.waiting.popleft()
        try:
            labels = self._lanes.result(ticket)
        except (RunnerError, ShapeError) as error:
            yield from self._refused(batch, error)
            return
        for loaded, label in zip(batch, labels, strict=True):
            yield Labelled(loaded, label)

    def _refused(self, batch: list[Loaded], error: RunnerError | ShapeError) -> Iterator[Labelled | Ended]:
        if len(batch) == 1:
            yield Ended(batch[0].index, batch[0].name, error=error)
            return
        half = len(batch) // 2
        yield from self.put(batch[:half])
        yield from self.put(batch[half:])


def stacked(batch: list[Loaded]) -> NDArray[np.uint8]:
    """uint8[N, H, W, 3]; a single image is not copied."""
    return batch[0].image[None] if len(batch) == 1 else np.stack([loaded.image for loaded in batch])


def in_order(values: Iterable[Value], index: Callable[[Value], int]) -> Generator[Value, None, None]:
    """Values by their index 0, 1, 2, ...; holds those that came early, no more than the stages before held back."""
    early: dict[int, Value] = {}
    following = 0
    for value in values:
        early[index(value)] = value
        while following in early:
            yield early.pop(following)
            following += 1
