"""List the NVIDIA GPUs of this machine through the driver's own library, without any package."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from functools import cache

# CUdevice_attribute: COMPUTE_CAPABILITY_MAJOR and _MINOR (cuda.h).
_MAJOR, _MINOR = 75, 76
_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


@dataclass(frozen=True)
class Gpu:
    """One device.

    Attributes:
        name: as the driver reports it; sm: its compute capability, "SM89"; driver: the highest CUDA version that the
        driver supports, "12.8".
    """

    name: str
    sm: str
    driver: str


def driver_library() -> ctypes.CDLL:
    """Return the driver's own library.

    Raises:
        OSError: "libcuda.so.1 is missing: no NVIDIA driver".
    """
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise OSError(f"{_LIBRARY} is missing: no NVIDIA driver") from error


@cache
def gpus() -> tuple[Gpu, ...]:
    """Return all devices that CUDA shows to this process; none where there is no driver."""
    try:
        cuda = driver_library()
    except OSError:
        return ()
    count, version = ctypes.c_int(), ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDriverGetVersion(ctypes.byref(version)) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return tuple(_gpu(cuda, index, driver) for index in range(count.value))


def own_sm() -> str | None:
    """Return the architecture of the first device ("SM89"); None without one."""
    return gpus()[0].sm if gpus() else None


def _gpu(cuda: ctypes.CDLL, index: int, driver: str) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    return Gpu(name.value.decode(), f"SM{major.value}{minor.value}", driver)
