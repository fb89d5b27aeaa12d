"""What the NVIDIA driver says of itself and of its GPUs."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from fcn_deploy.doctor import driver as doctor_driver
from fcn_deploy.engine.gpus import Gpu
from fcn_deploy.errors import RunnerError


class FakeCuda:
    """libcuda and libnvidia-ml with two GPUs; `code` is what cuInit gives."""

    def __init__(self, code: int = 0) -> None:
        self.code = code

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.code

    def cuGetErrorName(self, code: int, name: Any) -> int:  # noqa: N802
        name._obj.value = b"CUDA_ERROR_NO_DEVICE"
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 12040
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = index
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> int:  # noqa: N802
        size._obj.value = (device.value + 1) << 33
        return 0

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 0

    def nvmlSystemGetDriverVersion(self, text: Any, size: int) -> int:  # noqa: N802
        text.value = b"550.54.14"
        return 0


def test_the_driver_shows_versions_gpus_and_their_memory(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeCuda())
    monkeypatch.setattr(doctor_driver, "gpus", lambda: (Gpu("A", "SM86", "12.4"), Gpu("B", "SM90", "12.4")))
    assert doctor_driver.ask_driver() == {
        "version": "550.54.14",
        "cuda": [12, 4],
        "gpus": [
            {"name": "A", "sm": "SM86", "memory_bytes": 8 << 30},
            {"name": "B", "sm": "SM90", "memory_bytes": 16 << 30},
        ],
    }


def test_a_driver_that_is_missing_and_one_that_does_not_start_are_distinguished(monkeypatch):
    def absent(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with pytest.raises(RunnerError, match=r"^libcuda\.so\.1 is missing: no NVIDIA driver$"):
        doctor_driver.ask_driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeCuda(100))
    with pytest.raises(RunnerError, match=r"does not start: CUDA_ERROR_NO_DEVICE \(100\)"):
        doctor_driver.ask_driver()
