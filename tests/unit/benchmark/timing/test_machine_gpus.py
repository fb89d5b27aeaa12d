"""The watch over the GPUs, on an NVML of the names that nvidia-ml-py has."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from fcn_deploy.benchmark.record.types import GpuState
from fcn_deploy.benchmark.timing.machine import GpuWatch, free_bytes


class NVMLError(Exception):
    pass


class FakeNvml(ModuleType):
    """Two GPUs: the second is a laptop's that tells neither power nor memory clock."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.__spec__ = SimpleNamespace(origin="pynvml.py")
        self.open, self.asked, self.starts = 0, 0, True

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.starts:
            raise NVMLError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        return f"gpu {index}"

    def nvmlDeviceGetClockInfo(self, handle: str, clock: int) -> int:  # noqa: N802
        self.asked += 1
        if handle == "gpu 1" and clock == self.NVML_CLOCK_MEM:
            raise NVMLError("Not Supported")
        return {1: 1980, 2: 2619}[clock]

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:  # noqa: N802
        if handle == "gpu 1":
            raise NVMLError("Not Supported")
        return 312_500  # milliwatts

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        if handle == "gpu 1":
            raise NVMLError("Not Supported")
        return 1_234_500  # millijoules

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:  # noqa: N802
        return 61

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(used=5 << 30, free=3 << 30)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:  # noqa: N802
        return 0x24 | 0x100 if handle == "gpu 0" else 0x1


@pytest.fixture
def nvml(monkeypatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_clocks_power_and_throttling_of_every_gpu_are_noted(nvml):
    now = iter([100.0, 102.5, 103.5])
    with GpuWatch(clock=lambda: next(now)) as watch:
        watch.look()
    assert watch.states == [
        GpuState(0, 2.5, 1980, 2619, 312.5, 61, 5 << 30, ("software power cap", "software thermal slowdown")),
        GpuState(1, 2.5, 1980, None, None, 61, 5 << 30, ()),  # idle is not throttled
    ]
    assert nvml.open == 0
    watch.look()  # after its end it sees nothing more
    assert len(watch.states) == 2


def test_nvml_is_asked_at_most_twice_a_second(nvml):
    times = [0.0, 0.1, 0.2, 0.59, 0.61, 0.9, 1.2]
    now = iter(times)
    with GpuWatch(clock=lambda: next(now)) as watch:
        for _ in times[1:]:
            watch.look()
    assert [state.seconds for state in watch.states if state.gpu == 0] == [0.1, 0.61, 1.2]


def test_without_a_driver_or_the_package_there_is_a_reason_and_nothing_else(nvml, monkeypatch):
    nvml.starts = False
    with GpuWatch() as watch:
        watch.look()
    assert (watch.states, watch.reason) == ([], "NVML: Driver Not Loaded")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with GpuWatch() as watch:
        watch.look()
    assert watch.states == []
    assert watch.reason.startswith("pynvml ")
    assert free_bytes() is None


def test_free_memory_is_that_of_the_gpu_that_is_asked_for(nvml):
    assert free_bytes() == 3 << 30
    assert free_bytes(2) is None
    assert nvml.open == 0


def test_the_energy_of_gpus_that_count_it_is_read_in_joules(nvml):
    with GpuWatch() as watch:
        assert watch.joules() == {0: 1234.5}
    assert watch.joules() == {}
