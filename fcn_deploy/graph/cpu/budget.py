"""Refuse an inference that does not fit in the free memory of a CPU, before the system ends this process or another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from fcn_deploy.errors import ShapeError
from fcn_deploy.system.memory import free_bytes
from fcn_deploy.vocabulary import Shape, shape_text

# Bytes per pixel, some ten times what full-width networks take: images that fit at so many need no estimate.
PLENTY = 16 << 10
KEPT_ESTIMATES = 1000
# Measured needs are up to so many times the estimate (docs/design/runners.md).
CAUTION = 1.1


class MemoryBudget:
    """The memory of one model's inferences on a CPU, shared by a runner and its clones.

    Large images wait for each other, and one that cannot fit is rejected.

    Attributes:
        remedy: what the user should do about an image that is rejected.
    """

    def __init__(self, estimate: Callable[[Shape], int | None]) -> None:
        """`estimate` gives the bytes that an inference of (N, H, W) takes; None, if not known, sets no limit."""
        self.estimate = lru_cache(KEPT_ESTIMATES)(estimate)
        self.remedy = "give smaller images, or a file exported with a --network-size"
        self._total = -1  # not asked yet
        self._reserved = 0
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, shape: Shape) -> Iterator[None]:
        """Reserve the memory of an inference of (N, H, W), after waiting until others have left enough.

        Raises:
            ShapeError: it would not fit even if it ran alone.
        """
        needed = self._needed(shape)
        if not needed:
            yield
            return
        with self._changed:
            if needed > self._total:  # what this model's earlier inferences left allocated is used again
                self._total = max(self._total, free_bytes())
            if needed > self._total:
                raise self._refusal(shape, needed)
            self._changed.wait_for(lambda: self._reserved + needed <= self._total)
            self._reserved += needed
        try:
            yield
        finally:
            with self._changed:
                self._reserved -= needed
                self._changed.notify_all()

    def _needed(self, shape: Shape) -> int:
        """Return the bytes that an inference takes; 0 for small images, and where they are not known."""
        if self._total < 0:
            self._total = free_bytes()
        count, height, width = shape
        return 0 if PLENTY * count * height * width <= self._total else round(CAUTION * (self.estimate(shape) or 0))

    def _refusal(self, shape: Shape, needed: int) -> ShapeError:
        size = shape_text(shape if shape[0] > 1 else shape[1:])
        return ShapeError(
            f"{size} pixels in one inference take about {needed / 2**30:.1f} GiB and {self._total / 2**30:.1f} are "
            f"free; {self.remedy}"
        )
