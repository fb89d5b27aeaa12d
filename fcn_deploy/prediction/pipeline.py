"""Run images through bounded stages: decode, group into batches, infer, write.

A stage is a generator that the next one pulls from, so nothing runs ahead of the slowest by more than the bounds. The
threads of a pool decode and write; the caller's thread passes things along.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from fcn_deploy.errors import RunnerError, ShapeError
from fcn_deploy.prediction.image_states import FinishedImage, LabelledImage, LoadedImage
from fcn_deploy.prediction.inference import Lanes
from fcn_deploy.prediction.stage_clock import INFERENCE, StageClock

Value = TypeVar("Value")
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


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
        """Return bounds for `workers` threads and a runner with `slots` batches at a time: twice what each works on."""
        return cls(workers + batch, 4 * batch if batch > 1 else 1, (slots + 1) * batch, 2 * workers + batch)

    @property
    def images(self) -> int:
        """Decoded images alive at any time, at most."""
        return self.decoded + self.grouped + self.inferred + self.written


class Pending(Protocol[Result_co]):
    """The interface of a result that is being computed; `concurrent.futures.Future` has it."""

    def result(self) -> Result_co:
        """Wait for the result; raise what its computation raised."""

    def cancel(self) -> object:
        """Say that the result is no longer needed."""


def prefetch(
    submit: Callable[[Value], Pending[Result]], values: Iterable[Value], bound: int, clock: StageClock, stage: str
) -> Iterator[Result]:
    """Yield the result of each value, in order, submitted at most `bound` values ahead of the consumer.

    The time spent waiting for results counts as `stage`'s.
    """
    waiting: deque[Pending[Result]] = deque()
    try:
        for value in values:
            waiting.append(submit(value))
            del value
            if len(waiting) == bound:
                yield clock.wait(stage, waiting.popleft().result)
        while waiting:
            yield clock.wait(stage, waiting.popleft().result)
    finally:
        for future in waiting:
            future.cancel()


class Batcher(Generic[Value]):
    """Groups of images of one shape that become batches; none waits without limit.

    A group leaves when it is full, or when its first image was followed by `window` others.
    """

    def __init__(self, size: int, window: int) -> None:
        self._size, self._window = size, window
        self._groups: dict[tuple[int, ...], list[LoadedImage]] = {}
        self._since: dict[tuple[int, ...], int] = {}
        self._seen = 0

    def add(self, loaded: LoadedImage) -> Iterator[list[LoadedImage]]:
        """Add an image; yield the batches that are complete because of it."""
        shape = loaded.image.shape
        self._seen += 1
        self._since.setdefault(shape, self._seen)
        self._groups.setdefault(shape, []).append(loaded)
        if len(self._groups[shape]) == self._size:
            yield self._pop(shape)
        while self._since and self._seen - next(iter(self._since.values())) >= self._window:
            yield self._pop(next(iter(self._since)))

    def flush(self) -> Iterator[list[LoadedImage]]:
        """Yield the batches that are left at the end."""
        while self._since:
            yield self._pop(next(iter(self._since)))

    def _pop(self, shape: tuple[int, ...]) -> list[LoadedImage]:
        del self._since[shape]
        return self._groups.pop(shape)


def batch_images(
    values: Iterable[LoadedImage | FinishedImage], size: int, window: int
) -> Iterator[list[LoadedImage] | FinishedImage]:
    """Yield images in batches of one shape; pass finished ones through."""
    batches: Batcher[LoadedImage] = Batcher(size, window)
    for value in values:
        if isinstance(value, FinishedImage):
            yield value
        else:
            yield from batches.add(value)
        del value
    yield from batches.flush()


def infer_batches(
    values: Iterable[list[LoadedImage] | FinishedImage], lanes: Lanes, clock: StageClock
) -> Generator[LabelledImage | FinishedImage, None, None]:
    """Yield the labels of every image; one that the runner rejects is finished with its error, and the rest go on."""
    feed = _InFlight(lanes, clock)
    try:
        for value in values:
            if isinstance(value, FinishedImage):
                yield value
            else:
                yield from feed.submit(value)
            del value
        while feed.waiting:
            yield from feed.collect()
    finally:
        for _, ticket in feed.waiting:
            lanes.discard(ticket)


class _InFlight:
    """Batches in flight. A rejected one (out of memory, or no profile of the engine) is tried again in halves."""

    def __init__(self, lanes: Lanes, clock: StageClock) -> None:
        self._lanes, self._clock = lanes, clock
        self.waiting: deque[tuple[list[LoadedImage], Any]] = deque()

    def submit(self, batch: list[LoadedImage]) -> Iterator[LabelledImage | FinishedImage]:
        """Start on a batch; yield the results of the oldest ones first if all slots are taken."""
        while len(self.waiting) >= self._lanes.slots:  # a refused batch comes back as two
            yield from self.collect()
        try:
            self.waiting.append((batch, self._clock.wait(INFERENCE, lambda: self._lanes.submit(batch))))
        except (RunnerError, ShapeError) as error:
            yield from self._refused(batch, error)

    def collect(self) -> Iterator[LabelledImage | FinishedImage]:
        """Wait for the oldest batch and yield its results."""
        batch, ticket = self.waiting.popleft()
        try:
            results = self._clock.wait(INFERENCE, lambda: self._lanes.result(ticket))
        except (RunnerError, ShapeError) as error:
            yield from self._refused(batch, error)
            return
        for loaded, tensors in zip(batch, results, strict=True):
            yield LabelledImage(loaded, tensors)

    def _refused(
        self, batch: list[LoadedImage], error: RunnerError | ShapeError
    ) -> Iterator[LabelledImage | FinishedImage]:
        if len(batch) == 1:
            yield FinishedImage(batch[0].index, batch[0].name, error=error)
            return
        half = len(batch) // 2
        yield from self.submit(batch[:half])
        yield from self.submit(batch[half:])


def reorder(values: Iterable[Value], index: Callable[[Value], int]) -> Generator[Value, None, None]:
    """Yield values by their index 0, 1, 2, ...; those that come early are held, as many as earlier stages allow."""
    early: dict[int, Value] = {}
    following = 0
    for value in values:
        early[index(value)] = value
        while following in early:
            yield early.pop(following)
            following += 1
