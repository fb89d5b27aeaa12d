"""Compute how many streams a row holds from the loads that were tried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcn_deploy.benchmark.record.measurement import StreamLoad, StreamTest
from fcn_deploy.benchmark.record.types import Record, Row

PERCENTILE = 99


@dataclass(frozen=True)
class HeldStreams:
    """The largest number of streams whose images keep the deadline, and what happens with one more.

    Attributes:
        load: None where not even one stream holds.
        beyond: the smallest number that was tried and does not hold; None where as many as were asked for do.
    """

    load: StreamLoad | None
    beyond: StreamLoad | None

    @property
    def streams(self) -> int:
        """How many hold; 0 where not even one does."""
        return 0 if self.load is None else self.load.streams


def p99_ms(load: StreamLoad) -> float:
    """Return the milliseconds within which 99 of 100 images had their labels."""
    return float(np.percentile(load.latency_ns, PERCENTILE)) / 1e6


def holds(load: StreamLoad, test: StreamTest) -> bool:
    """Whether 99 of 100 images kept the deadline."""
    return not load.given_up and p99_ms(load) <= 1000 * test.deadline_s


def held_streams(record: Record, row: Row) -> HeldStreams | None:
    """Return how many streams a row holds; None if that was not tried."""
    test, loads = record.settings.streams, row.own.loads
    if test is None or not loads:
        return None
    kept = [load for load in loads if holds(load, test)]
    missed = [load for load in loads if not holds(load, test)]
    return HeldStreams(
        max(kept, key=lambda load: load.streams, default=None), min(missed, key=lambda load: load.streams, default=None)
    )
