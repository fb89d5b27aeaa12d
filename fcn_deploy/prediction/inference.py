"""Feed runners through one interface: a runner with several slots, runners in threads, or any function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import RunnerError
from fcn_deploy.prediction.memory_budget import MemoryBudget, memory_budget_for
from fcn_deploy.runners.base import Runner
from fcn_deploy.vocabulary import INPUT, LABELS

# uint8[N, H, W, 3] to uint8|int32[N, H, W]
Infer = Callable[[NDArray[np.uint8]], NDArray[Any]]


class Lanes(Protocol):
    """An interface that takes batches and returns their labels, several at a time; a ticket stands for a result."""

    @property
    def slots(self) -> int:
        """Batches that may be under way at once."""

    def submit(self, images: NDArray[np.uint8]) -> Any:
        """Start on uint8[N, H, W, 3]; return a ticket. RunnerError or ShapeError if it is rejected."""

    def result(self, ticket: Any) -> NDArray[Any]:
        """Wait for labels uint8|int32[N, H, W]; RunnerError or ShapeError if there are none."""

    def discard(self, ticket: Any) -> None:
        """Give up a result that is no longer needed."""


class ThreadLanes:
    """One thread per function of `infers`, each called by one thread at a time. Use as a context manager."""

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

    def submit(self, images: NDArray[np.uint8]) -> Future[NDArray[Any]]:
        return self._pool.submit(self._infer, images)

    def _infer(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        infer = self._free.get()
        try:
            return infer(images)
        finally:
            self._free.put(infer)

    def result(self, ticket: Future[NDArray[Any]]) -> NDArray[Any]:
        return ticket.result()

    def discard(self, ticket: Future[NDArray[Any]]) -> None:
        ticket.cancel()

    def __enter__(self) -> ThreadLanes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


class SlotLanes:
    """The slots of one runner, fed from the caller's thread. A context manager that closes nothing."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def slots(self) -> int:
        return self._runner.slots

    def submit(self, images: NDArray[np.uint8]) -> Any:
        return self._runner.submit(images)

    def result(self, ticket: Any) -> NDArray[Any]:
        return self._runner.result(ticket)[LABELS]

    def discard(self, ticket: Any) -> None:
        with suppress(RunnerError):  # the slot is free again either way
            self._runner.result(ticket)

    def __enter__(self) -> SlotLanes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def open_lanes(runners: Sequence[Runner]) -> ThreadLanes | SlotLanes:
    """Return the slots of a runner that has several, else a thread for each of `runners`."""
    first = runners[0]
    if first.slots > 1:
        return SlotLanes(first)
    budget = memory_budget_for(first)
    return ThreadLanes([infer_function(runner, budget) for runner in runners])


def infer_function(runner: Runner, budget: MemoryBudget | None = None) -> Infer:
    """Return a function from images to the labels of `runner`; ShapeError if they exceed the memory `budget`."""
    budget = budget or memory_budget_for(runner)

    def infer(images: NDArray[np.uint8]) -> NDArray[Any]:
        with budget.reserve(images.shape):
            return runner.infer({INPUT: images})[LABELS]

    return infer
