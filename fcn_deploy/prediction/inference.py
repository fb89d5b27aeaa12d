"""Feed runners through one interface, several batches at a time, within the memory that is free on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import RunnerError, ShapeError
from fcn_deploy.prediction.image_states import LoadedImage, Tensors
from fcn_deploy.runners.base import Runner
from fcn_deploy.vocabulary import INPUT, LABELS

# The runner's outputs, of uint8[N, H, W, 3]
Infer = Callable[[NDArray[np.uint8]], Tensors]
UNGUARDED: AbstractContextManager[object] = nullcontext()


class Lanes(Protocol):
    """An interface that takes batches and returns their outputs, several at a time; a ticket identifies a result.

    Images are put together and outputs are copied in the lanes' own threads, never in the caller's.
    """

    @property
    def slots(self) -> int:
        """Batches that may be under way at once."""

    def submit(self, batch: Sequence[LoadedImage]) -> Any:
        """Start on images of one shape; return a ticket. RunnerError or ShapeError if it is rejected."""

    def result(self, ticket: Any) -> Sequence[Tensors]:
        """Wait for the outputs of each image, labels uint8|int32[H, W] or others; RunnerError or ShapeError if none."""

    def discard(self, ticket: Any) -> None:
        """Give up a result that is no longer needed."""


def stack_images(batch: Sequence[LoadedImage]) -> NDArray[np.uint8]:
    """Return uint8[N, H, W, 3]; a single image is not copied."""
    return batch[0].image[None] if len(batch) == 1 else np.stack([loaded.image for loaded in batch])


def keep_outputs(batch: Sequence[LoadedImage], tensors: Tensors) -> list[Tensors]:
    """Bring outputs [N, ...] to where those of each image are written from."""
    own = ({name: values[place] for name, values in tensors.items()} for place in range(len(batch)))
    return [loaded.keep(mine) for loaded, mine in zip(batch, own, strict=True)]


class ThreadLanes:
    """One thread per function of `infers`, each called by one thread at a time."""

    def __init__(self, infers: Sequence[Infer]) -> None:
        self._free: SimpleQueue[Infer] = SimpleQueue()
        for infer in infers:
            self._free.put(infer)
        self._pool = ThreadPoolExecutor(len(infers), thread_name_prefix="infer")
        self._count = len(infers)

    @property
    def slots(self) -> int:
        """One more than there are threads, so that each finds its next batch waiting."""
        return self._count + 1

    def submit(self, batch: Sequence[LoadedImage]) -> Future[list[Tensors]]:
        return self._pool.submit(self._infer, batch)

    def _infer(self, batch: Sequence[LoadedImage]) -> list[Tensors]:
        infer = self._free.get()
        try:
            tensors = infer(stack_images(batch))
        finally:
            self._free.put(infer)
        return keep_outputs(batch, tensors)

    def result(self, ticket: Future[list[Tensors]]) -> list[Tensors]:
        return ticket.result()

    def discard(self, ticket: Future[list[Tensors]]) -> None:
        ticket.cancel()

    def close(self) -> None:
        """Wait for what is under way; drop the rest."""
        self._pool.shutdown(cancel_futures=True)


Submitted = Future[tuple[Sequence[LoadedImage], Any]]


class SlotLanes:
    """The slots of one runner, fed by one thread, which takes its calls in their order."""

    def __init__(self, runner: Runner, guard: AbstractContextManager[object]) -> None:
        self._runner, self._guard = runner, guard
        self._feeder = ThreadPoolExecutor(1, thread_name_prefix="feed")

    @property
    def slots(self) -> int:
        return self._runner.slots

    def submit(self, batch: Sequence[LoadedImage]) -> Submitted:
        return self._feeder.submit(self._submit, batch)

    def _submit(self, batch: Sequence[LoadedImage]) -> tuple[Sequence[LoadedImage], Any]:
        with self._guard:
            return batch, self._runner.submit(stack_images(batch))

    def result(self, ticket: Submitted) -> list[Tensors]:
        return self._feeder.submit(self._result, ticket).result()

    def _result(self, submitted: Submitted) -> list[Tensors]:
        batch, ticket = submitted.result()  # the feeder's earlier task
        with self._guard:
            tensors = self._runner.result(ticket)
        return keep_outputs(batch, tensors)

    def discard(self, ticket: Submitted) -> None:
        if not ticket.cancel():
            self._feeder.submit(self._drop, ticket)

    def _drop(self, submitted: Submitted) -> None:
        with suppress(RunnerError, ShapeError), self._guard:  # the slot is free again either way
            self._runner.result(submitted.result()[1])

    def close(self) -> None:
        """Wait for what is under way."""
        self._feeder.shutdown()


@contextmanager
def open_lanes(
    runners: Sequence[Runner], guard: AbstractContextManager[object] = UNGUARDED
) -> Iterator[ThreadLanes | SlotLanes]:
    """Yield the slots of a runner that has several, else a thread for each of `runners`; the runners stay open.

    Args:
        guard: is held around each call of a runner.
    """
    first = runners[0]
    if first.slots > 1:
        with closing(SlotLanes(first, guard)) as fed:
            yield fed
        return
    with closing(ThreadLanes([_infer_function(runner, guard) for runner in runners])) as lanes:
        yield lanes


def labels_function(runner: Runner) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    """Return a function from images to the labels of `runner`."""
    infer = _infer_function(runner, UNGUARDED)
    return lambda images: infer(images)[LABELS]


def _infer_function(runner: Runner, guard: AbstractContextManager[object]) -> Infer:
    """Return a function from images to the outputs of `runner`."""

    def infer(images: NDArray[np.uint8]) -> Tensors:
        with guard:
            return runner.infer({INPUT: images})

    return infer
