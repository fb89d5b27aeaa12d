"""Query the NVIDIA driver through its own libraries, without any package."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from fcn_deploy.engine.gpus import driver_library, gpus
from fcn_deploy.errors import RunnerError, restated


def ask_driver() -> dict[str, Any]:
    """Return driver and CUDA version, and the GPUs with their capability and memory, asked of the driver itself.

    Raises:
        RunnerError: there is no driver, or it does not start.
    """
    with restated(RunnerError, OSError):
        cuda = driver_library()
    if code := cuda.cuInit(0):
        raise RunnerError(f"the NVIDIA driver does not start: {_cuda_error(cuda, code)}")
    version = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    return {
        "version": _driver_version(),
        "cuda": [version.value // 1000, version.value % 1000 // 10],
        "gpus": [
            {"name": gpu.name, "sm": gpu.sm, "memory_bytes": _memory_bytes(cuda, index)}
            for index, gpu in enumerate(gpus())
        ],
    }


def _cuda_error(cuda: ctypes.CDLL, code: int) -> str:
    """ "CUDA_ERROR_NO_DEVICE (100)"."""
    name = ctypes.c_char_p()
    cuda.cuGetErrorName(code, ctypes.byref(name))
    return f"{(name.value or b'an unknown error').decode()} ({code})"


def _driver_version() -> str | None:
    """Return the version that nvidia-smi shows, "580.65.06"; None without NVML (JetPack)."""
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return None
    text = ctypes.create_string_buffer(96)
    if nvml.nvmlInit_v2() or nvml.nvmlSystemGetDriverVersion(text, len(text)):
        return None
    return text.value.decode()


def _memory_bytes(cuda: ctypes.CDLL, index: int) -> int:
    device, size = ctypes.c_int(), ctypes.c_size_t()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    return size.value
