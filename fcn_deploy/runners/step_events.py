"""Time the three steps of an inference on the device itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

UPLOAD, EXECUTE, DOWNLOAD = range(3)


class StepEvents:
    """Two timing events on the device for each of the three steps, made by `make` and used again for every inference.

    The host's clock also counts launching and waiting; where the two differ by much, a runner is bound by its launches.
    An event has `record(stream)` and `synchronize()`, as those of PyTorch and PyCUDA do.
    """

    def __init__(self, make: Callable[[], Any], elapsed_ms: Callable[[Any, Any], float]) -> None:
        """`elapsed_ms(begin, end)` gives the milliseconds between two events that were reached."""
        self._pairs = [(make(), make()) for _ in range(3)]
        self._elapsed_ms = elapsed_ms

    @contextmanager
    def around(self, step: int, stream: Any = None) -> Iterator[None]:
        """Time what the block puts on `stream`, which should not wait for it."""
        begin, end = self._pairs[step]
        begin.record(stream)
        yield
        end.record(stream)

    def read(self) -> tuple[int, int, int]:
        """Wait for the last event; return the nanoseconds of the recorded upload, execute and download."""
        for _, end in self._pairs:
            end.synchronize()
        upload, execute, download = (round(1e6 * self._elapsed_ms(begin, end)) for begin, end in self._pairs)
        return upload, execute, download
