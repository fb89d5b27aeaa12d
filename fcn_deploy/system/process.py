"""Python processes that this one starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil


def child_environment(**more: str) -> dict[str, str]:
    """The environment of a child that finds the modules which this process finds; `more` is added to it."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} | more


def peak_bytes() -> int:
    """The highest resident memory of this process so far.

    Linux's ru_maxrss is not asked: a child starts with the value of the process that made it. VmHWM starts anew.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes


def usable_cores() -> int:
    """Physical cores, and no more than this process may run on (an affinity mask or a container's CPU set)."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return min(physical, len(os.sched_getaffinity(0)))
    return physical


@contextmanager
def led_to(sink: IO[Any], descriptor: int) -> Iterator[None]:
    """What is written to `descriptor` (1 is standard output, 2 standard error) inside the block goes into `sink`."""
    kept = os.dup(descriptor)
    try:
        os.dup2(sink.fileno(), descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
