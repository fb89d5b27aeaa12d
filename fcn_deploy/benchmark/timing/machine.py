"""Observe the machine while runners are timed: cores that other processes keep busy, clocks and power of the GPUs.

A GPU that is hot, or at its power limit, lowers its clocks; its times then depend on the cooling. NVML is called
between two rounds and never within one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

from fcn_deploy.benchmark.record.types import GpuState
from fcn_deploy.errors import MissingDependencyError
from fcn_deploy.system.optional import require

EVERY_S = 0.5
# nvml.h, nvmlClocksEventReasons: bit -> words. Idle, and clocks that the user has set, are not throttling.
THROTTLES = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}


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


def free_bytes(gpu: int = 0) -> int | None:
    """Return the free memory of one GPU; None without NVML, or without that GPU."""
    with GpuWatch() as watch:
        return watch.free_bytes(gpu)


class GpuWatch:
    """Read the state of every GPU at most twice per second, when `look` is called; a context manager that closes NVML.

    Attributes:
        states: what was read.
        reason: why nothing can be read; "" where NVML answers.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.states: list[GpuState] = []
        self.reason = ""
        self._clock = clock
        self._start = self._next = clock()
        self._nvml: Any = None
        try:
            nvml = require("pynvml")
            nvml.nvmlInit()
            self._nvml = nvml
            self._handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        except MissingDependencyError as error:
            self.reason = str(error)
        except nvml.NVMLError as error:
            self._nvml, self.reason = None, f"NVML: {error}"

    def look(self) -> None:
        """Record the state of every GPU, unless that was done in the last half second."""
        now = self._clock()
        if self._nvml is None or now < self._next:
            return
        self._next = now + EVERY_S
        self.states += [self._state(index, now - self._start) for index in range(len(self._handles))]

    def joules(self) -> dict[int, float]:
        """Return what each GPU has used since its driver was loaded; those that do not count are missing."""
        found = {}
        for index, handle in enumerate(self._handles if self._nvml is not None else ()):
            millijoules = self._query(partial(self._nvml.nvmlDeviceGetTotalEnergyConsumption, handle))
            if millijoules is not None:
                found[index] = millijoules / 1000
        return found

    def free_bytes(self, gpu: int) -> int | None:
        if self._nvml is None or gpu >= len(self._handles):
            return None
        found: int | None = self._query(lambda: self._nvml.nvmlDeviceGetMemoryInfo(self._handles[gpu]).free)
        return found

    def __enter__(self) -> GpuWatch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None

    def _state(self, index: int, seconds: float) -> GpuState:
        nvml, handle = self._nvml, self._handles[index]
        milliwatts = self._query(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        throttles = self._query(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)) or 0
        return GpuState(
            gpu=index,
            seconds=seconds,
            sm_mhz=self._query(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            memory_mhz=self._query(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
            power_w=None if milliwatts is None else milliwatts / 1000,
            temperature_c=self._query(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            used_bytes=self._query(lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used),
            throttled=tuple(words for bit, words in THROTTLES.items() if throttles & bit),
        )

    def _query(self, read: Callable[[], Any]) -> Any:
        """Return the value, or None: laptop and data centre GPUs each lack some of them."""
        try:
            return read()
        except self._nvml.NVMLError:
            return None
