"""How much of the machine other processes took while something was being timed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class CpuClock:
    """Seconds on one reading: of the wall, of all cores busy together, of this process."""

    wall: float
    busy: float
    own: float

    @classmethod
    def read(cls) -> CpuClock:
        system, own = psutil.cpu_times(), psutil.Process().cpu_times()
        # guest time is counted in user time already; time waiting for a disk is idle
        idle = system.idle + getattr(system, "iowait", 0.0) + getattr(system, "guest", 0.0)
        busy = sum(system) - idle - getattr(system, "guest_nice", 0.0)
        return cls(time.perf_counter(), busy, own.user + own.system)


def other_cores(before: CpuClock, after: CpuClock) -> float | None:
    """Cores that other processes kept busy between two readings, on average (1.5: one and a half).

    None for less than a second: the system counts in hundredths, and those of short spans say nothing.
    """
    wall = after.wall - before.wall
    if wall < 1:
        return None
    return max(0.0, ((after.busy - before.busy) - (after.own - before.own)) / wall)


def contended(others: float | None, threads: int, cores: int) -> bool:
    """Whether others took more than a tenth of a core that a runner wanted."""
    return others is not None and others + threads > cores + 0.1
