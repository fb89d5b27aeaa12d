"""Clocks, power and throttling of the GPUs while others are timed, read through NVML.

A GPU that is hot, or at its power limit, lowers its clocks: the times are then those of the cooling. NVML is asked
between two rounds and never within one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

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


def free_bytes(gpu: int = 0) -> int | None:
    """Free memory of one GPU; None without NVML, or without that GPU."""
    with GpuWatch() as watch:
        return watch.free_bytes(gpu)


class GpuWatch:
    """Looks at every GPU at most twice a second, when `look` is called; a context manager that ends NVML's use.

    Attributes:
        states: what was seen.
        reason: why there is nothing to see; "" where NVML answers.
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
        """Note the state of every GPU, unless that was done just now."""
        now = self._clock()
        if self._nvml is None or now < self._next:
            return
        self._next = now + EVERY_S
        self.states += [self._state(index, now - self._start) for index in range(len(self._handles))]

    def free_bytes(self, gpu: int) -> int | None:
        if self._nvml is None or gpu >= len(self._handles):
            return None
        found: int | None = self._asked(lambda: self._nvml.nvmlDeviceGetMemoryInfo(self._handles[gpu]).free)
        return found

    def __enter__(self) -> GpuWatch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None

    def _state(self, index: int, seconds: float) -> GpuState:
        nvml, handle = self._nvml, self._handles[index]
        milliwatts = self._asked(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        throttles = self._asked(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)) or 0
        return GpuState(
            gpu=index,
            seconds=seconds,
            sm_mhz=self._asked(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            memory_mhz=self._asked(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
            power_w=None if milliwatts is None else milliwatts / 1000,
            temperature_c=self._asked(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            used_bytes=self._asked(lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used),
            throttled=tuple(words for bit, words in THROTTLES.items() if throttles & bit),
        )

    def _asked(self, question: Callable[[], Any]) -> Any:
        """The answer, or None: laptop and data centre GPUs each leave some of them out."""
        try:
            return question()
        except self._nvml.NVMLError:
            return None
