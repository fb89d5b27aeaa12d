"""Time the first run of each shape on a GPU, in which a provider chooses its kernels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from fcn_deploy.vocabulary import Shape


class FirstRuns:
    """How long the first run of each shape took."""

    def __init__(self) -> None:
        self._seconds: dict[Shape, float] = {}

    @contextmanager
    def timed(self, shape: Shape | None) -> Iterator[None]:
        """Time the block if it is the first of `shape`; None is no shape."""
        if shape is None or shape in self._seconds:
            yield
            return
        started = time.perf_counter()
        yield
        self._seconds[shape] = time.perf_counter() - started

    @property
    def remark(self) -> tuple[str, ...]:
        """Say what they cost; () without any."""
        if not self._seconds:
            return ()
        least, most = min(self._seconds.values()), max(self._seconds.values())
        each = f"{least:.2f} s" if len(self._seconds) == 1 else f"{least:.2f} to {most:.2f} s"
        return (f"the first run of a shape chooses kernels: {each} for {len(self._seconds)} shape(s)",)
