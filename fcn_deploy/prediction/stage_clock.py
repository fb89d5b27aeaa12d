"""Measure how long a run waits for each of its stages, to find which one limits it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

DECODING, INFERENCE, WRITING = STAGES = ("decoding", "inference", "writing")
Result = TypeVar("Result")


class StageClock:
    """Seconds that the thread which passes images along waited for each of `STAGES`.

    Every stage holds a bounded number of images, so that thread waits for the slowest one. Decoding and writing have
    the same workers and wait for each other; their waits are divided as the workers' time is.
    """

    def __init__(self) -> None:
        self._waited = dict.fromkeys(STAGES, 0.0)
        self._worked = dict.fromkeys((DECODING, WRITING), 0.0)
        self._lock = threading.Lock()

    def wait(self, stage: str, get: Callable[[], Result]) -> Result:
        """Return what `get` returns; its time was spent waiting for `stage`."""
        started = time.perf_counter()
        try:
            return get()
        finally:
            self._waited[stage] += time.perf_counter() - started

    def add_work(self, stage: str, seconds: float) -> None:
        """Count `seconds` of a worker, from any thread."""
        with self._lock:
            self._worked[stage] += seconds

    def shares(self, seconds: float) -> dict[str, float]:
        """Return the part of a run of `seconds` spent waiting for each stage, 0..1."""
        for_workers = self._waited[DECODING] + self._waited[WRITING]
        decoding = self._worked[DECODING] / max(sum(self._worked.values()), 1e-9)
        waited = (for_workers * decoding, self._waited[INFERENCE], for_workers * (1 - decoding))
        return {stage: part / max(seconds, 1e-9) for stage, part in zip(STAGES, waited, strict=True)}


def bound(shares: dict[str, float]) -> str:
    """Return the stage waited for most, or "passing images on" if a run waited for none as long as it worked itself."""
    slowest = max(shares, key=lambda stage: shares[stage])
    return slowest if shares[slowest] >= 1 - sum(shares.values()) else "passing images on"
