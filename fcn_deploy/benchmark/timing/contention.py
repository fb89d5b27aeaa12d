"""Measure how many cores other processes kept busy while something was being timed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class CpuClock:
    """One reading in seconds: wall clock, busy time of all cores, CPU time of this process and its workers."""

    wall: float
    busy: float
    own: float

    @classmethod
    def read(cls, workers: Sequence[int] = ()) -> CpuClock:
        """Read the clocks; `workers` are ids of processes that are measured too, and one that has ended counts as 0."""
        system, own = psutil.cpu_times(), _seconds_of(os.getpid()) + sum(map(_seconds_of, workers))
        # guest time is counted in user time already; time waiting for a disk is idle
        idle = system.idle + getattr(system, "iowait", 0.0) + getattr(system, "guest", 0.0)
        busy = sum(system) - idle - getattr(system, "guest_nice", 0.0)
        return cls(time.perf_counter(), busy, own)


def _seconds_of(pid: int) -> float:
    try:
        found = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(found.user + found.system)


def other_cores(before: CpuClock, after: CpuClock) -> float | None:
    """Return how many cores other processes kept busy between two readings, on average (1.5: one and a half).

    None for less than a second: the system counts in hundredths, and those of short spans say nothing.
    """
    wall = after.wall - before.wall
    if wall < 1:
        return None
    return max(0.0, ((after.busy - before.busy) - (after.own - before.own)) / wall)


def contended(others: float | None, threads: int, cores: int) -> bool:
    """Whether others took more than a tenth of a core that a runner wanted."""
    return others is not None and others + threads > cores + 0.1
