"""Limit the memory of inferences on a CPU: large images wait for each other, and one that cannot fit is rejected.

Without this the system ends the process, or another one, before any allocation fails.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import ShapeError
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import RUNNERS, device_of, entry
from fcn_deploy.vocabulary import shape_text

# Peak bytes for each pixel and channel of VGG's first stage, which has 64 * width channels and the size of the image:
# those of an FP32 network are in the registry, as `activation_bytes`. Measured, at 0.3 to 2.4 megapixels: ONNX Runtime
# and PyTorch in FP32 11 to 27, INT8 9 to 13, OpenVINO in BF16 7.
INT8_BYTES = 8


class MemoryBudget:
    """Bytes that may be in use at once. A `bytes_per_pixel` of 0 sets no limit."""

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
    if "resnet" in card.model:
        return 0.0
    if str(card.notes.get("precision", "")).startswith("int8"):
        activation_bytes = min(activation_bytes, INT8_BYTES)
    return activation_bytes * 64 * float(str(card.options.get("width", 1.0)))
