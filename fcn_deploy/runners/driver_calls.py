"""Call the CUDA driver without any package: order streams of other libraries, and hold memory that is given away.

All streams are handles, of which 1 is the default stream (CU_STREAM_LEGACY).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fcn_deploy.engine.gpus import driver_library
from fcn_deploy.errors import RunnerError

DEFAULT_STREAM = 1
_DISABLE_TIMING = 2  # CU_EVENT_DISABLE_TIMING
_DEVICE_ORDINAL = 9  # CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL


def _call(name: str, *arguments: object) -> None:
    """Call a function of the driver; RunnerError with the name of its error."""
    driver = driver_library()
    status = getattr(driver, name)(*arguments)
    if status:
        text = ctypes.c_char_p()
        driver.cuGetErrorName(status, ctypes.byref(text))
        raise RunnerError(f"{name} failed: {(text.value or b'').decode() or status}")


@contextmanager
def primary_context(ordinal: int) -> Iterator[None]:
    """Make the primary context of a GPU, which PyTorch and ONNX Runtime use too, current in this thread."""
    device, context, popped = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
    _call("cuInit", 0)
    _call("cuDeviceGet", ctypes.byref(device), ordinal)
    _call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    try:
        _call("cuCtxPushCurrent_v2", context)
        try:
            yield
        finally:
            _call("cuCtxPopCurrent_v2", ctypes.byref(popped))
    finally:
        _call("cuDevicePrimaryCtxRelease_v2", device)


def ordinal_of(address: int) -> int:
    """Return the GPU on which memory lies, below 0 if it is no memory of a GPU."""
    found = ctypes.c_int(-1)
    with suppress(RunnerError):
        _call("cuPointerGetAttribute", ctypes.byref(found), _DEVICE_ORDINAL, ctypes.c_uint64(address))
    return found.value


def let_wait(stream: int, earlier: int) -> None:
    """Have `stream` wait for all that is on the stream `earlier` now."""
    event = ctypes.c_void_p()
    _call("cuEventCreate", ctypes.byref(event), _DISABLE_TIMING)
    try:
        _call("cuEventRecord", event, ctypes.c_void_p(earlier))
        _call("cuStreamWaitEvent", ctypes.c_void_p(stream), event, 0)
    finally:
        _call("cuEventDestroy_v2", event)


def copy_and_wait(target: int, source: int, nbytes: int, stream: int) -> None:
    """Copy within the GPU on `stream`, and wait for it and what was on the stream before."""
    _call("cuMemcpyDtoDAsync_v2", ctypes.c_uint64(target), ctypes.c_uint64(source), ctypes.c_size_t(nbytes),
          ctypes.c_void_p(stream))  # fmt: skip
    _call("cuStreamSynchronize", ctypes.c_void_p(stream))


def allocate(nbytes: int) -> int:
    """Return the address of new memory; RunnerError if there is too little."""
    address = ctypes.c_uint64()
    _call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(nbytes))
    return address.value


def free(ordinal: int, address: int) -> None:
    """Free memory, in whichever thread; a failed driver keeps it."""
    with suppress(RunnerError), primary_context(ordinal):
        _call("cuMemFree_v2", ctypes.c_uint64(address))
