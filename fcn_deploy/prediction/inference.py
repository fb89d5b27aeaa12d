"""Feed runners through one interface, several batches at a time, within the memory that is free on a CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import RunnerError, ShapeError
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import RUNNERS, device_of, entry
from fcn_deploy.vocabulary import INPUT, LABELS, shape_text

# uint8[N, H, W, 3] to uint8|int32[N, H, W]
Infer = Callable[[NDArray[np.uint8]], NDArray[Any]]


class Lanes(Protocol):
    """An interface that takes batches and returns their labels, several at a time; a ticket identifies a result."""

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

    def close(self) -> None:
        """Wait for what is under way; drop the rest."""
        self._pool.shutdown(cancel_futures=True)


class SlotLanes:
    """The slots of one runner, fed from the caller's thread."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def slots(self) -> int:
        return self._runner.slots

    def submit(self, images: NDArray[np.uint8]) -> Any:
        return self._runner.submit(images)

    def result(self, ticket: Any) -> NDArray[Any]:
        labels: NDArray[Any] = self._runner.result(ticket)[LABELS]
        return labels

    def discard(self, ticket: Any) -> None:
        with suppress(RunnerError):  # the slot is free again either way
            self._runner.result(ticket)


@contextmanager
def open_lanes(runners: Sequence[Runner]) -> Iterator[Lanes]:
    """Yield the slots of a runner that has several, else a thread for each of `runners`; the runners stay open."""
    first = runners[0]
    if first.slots > 1:
        yield SlotLanes(first)
        return
    budget = memory_budget_for(first)
    with closing(ThreadLanes([infer_function(runner, budget) for runner in runners])) as lanes:
        yield lanes


def infer_function(runner: Runner, budget: MemoryBudget | None = None) -> Infer:
    """Return a function from images to the labels of `runner`; ShapeError if they exceed the memory `budget`."""
    budget = budget or memory_budget_for(runner)

    def infer(images: NDArray[np.uint8]) -> NDArray[Any]:
        with budget.reserve(images.shape):
            labels: NDArray[Any] = runner.infer({INPUT: images})[LABELS]
        return labels

    return infer


# Peak bytes for each pixel and channel of VGG's first stage, which has 64 * width channels and the size of the image:
# those of an FP32 network are in the registry, as `activation_bytes`. Measured, at 0.3 to 2.4 megapixels: ONNX Runtime
# and PyTorch in FP32 11 to 27, INT8 9 to 13, OpenVINO in BF16 7.
INT8_BYTES = 8


class MemoryBudget:
    """Bytes that may be in use at once. A `bytes_per_pixel` of 0 sets no limit.

    Large images wait for each other, and one that cannot fit is rejected. Without this the system ends the process, or
    another one, before any allocation fails.
    """

    def __init__(self, bytes_per_pixel: float, free: int) -> None:
        self._bytes_per_pixel, self._total = bytes_per_pixel, free
        self._reserved = 0.0
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, shape: Sequence[int]) -> Iterator[None]:
        """Reserve the memory of an inference of [N, H, W, ...], after waiting until it is free.

        Raises:
            ShapeError: it would not fit even if it ran alone.
        """
        needed = self._bytes_per_pixel * shape[0] * shape[1] * shape[2]
        if needed > self._total:
            size = shape_text(shape[:3] if shape[0] > 1 else shape[1:3])
            raise ShapeError(
                f"{size} pixels in one inference take about {needed / 2**30:.1f} GiB and {self._total / 2**30:.1f} are "
                "free; cut the image into tiles (--tile 1024)"
            )
        with self._changed:
            self._changed.wait_for(lambda: self._reserved + needed <= self._total)
            self._reserved += needed
        try:
            yield
        finally:
            with self._changed:
                self._reserved -= needed
                self._changed.notify_all()


def memory_budget_for(runner: Runner) -> MemoryBudget:
    """Return a budget of the free memory; without limit unless `runner` is a CPU's and its need is known."""
    backend, free = runner.name.partition(":")[0], psutil.virtual_memory().available
    if runner.card is None or backend not in RUNNERS or device_of(runner.name) != "cpu":
        return MemoryBudget(0.0, free)
    return MemoryBudget(bytes_per_pixel(runner.card, entry(runner.name).activation_bytes), free)


def bytes_per_pixel(card: ModelCard, activation_bytes: int) -> float:
    """Estimate the peak bytes per pixel cautiously for networks on VGG-16; return 0 for others."""
    if "resnet" in card.model or card.is_foreign:
        return 0.0
    if str(card.notes.get("precision", "")).startswith("int8"):
        activation_bytes = min(activation_bytes, INT8_BYTES)
    return activation_bytes * 64 * float(str(card.options.get("width", 1.0)))
