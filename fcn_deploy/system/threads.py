"""How many CPU threads are worth asking for."""

from __future__ import annotations

import os

import psutil


def usable_cores() -> int:
    """Physical cores, and no more than this process may run on (an affinity mask or a container's CPU set)."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return min(physical, len(os.sched_getaffinity(0)))
    return physical
