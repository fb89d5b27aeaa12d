"""The driver's own library over a fake GPU, as `runners/driver_calls.py` calls it by ctypes."""

from __future__ import annotations

from typing import Any

from tests.support.fakes.gpu import EventState, Gpu, Work

OUT_OF_MEMORY, INVALID_HANDLE, INVALID_VALUE = 2, 400, 1
NAMES = {2: b"CUDA_ERROR_OUT_OF_MEMORY", 400: b"CUDA_ERROR_INVALID_HANDLE", 1: b"CUDA_ERROR_INVALID_VALUE"}


def _number(value: Any) -> int:
    """What a ctypes number or an int holds."""
    return int(getattr(value, "value", value) or 0)


class LibCuda:
    """Functions that give 0 or the number of an error. Its GPU is number 0; addresses from 1 << 48 lie on GPU 1."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._events: dict[int, EventState] = {}

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        device._obj.value = ordinal
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> int:  # noqa: N802
        context._obj.value = 1 + _number(device)
        return 0

    def cuDevicePrimaryCtxRelease_v2(self, device: Any) -> int:  # noqa: N802
        return 0

    def cuCtxPushCurrent_v2(self, context: Any) -> int:  # noqa: N802
        self._gpu.stack.append(context)
        return 0

    def cuCtxPopCurrent_v2(self, context: Any) -> int:  # noqa: N802
        self._gpu.stack.pop()
        return 0

    def cuPointerGetAttribute(self, found: Any, attribute: int, address: Any) -> int:  # noqa: N802
        number = _number(address)
        if number >= 1 << 48:
            found._obj.value = 1
        elif any(start <= number < start + block.size for start, block in self._gpu.blocks.items()):
            found._obj.value = 0
        else:
            return INVALID_VALUE
        return 0

    def cuEventCreate(self, event: Any, flags: int) -> int:  # noqa: N802
        event._obj.value = len(self._events) + 1
        self._events[event._obj.value] = EventState()
        return 0

    def cuEventRecord(self, event: Any, stream: Any) -> int:  # noqa: N802
        if _number(stream) not in self._gpu.streams:
            return INVALID_HANDLE
        state, on = self._events[_number(event)], self._gpu.streams[_number(stream)]
        state.recorded += 1
        state.streams[state.recorded] = on
        self._gpu.put(on, Work(record=(state, state.recorded)))
        return 0

    def cuStreamWaitEvent(self, stream: Any, event: Any, flags: int) -> int:  # noqa: N802
        state = self._events[_number(event)]
        self._gpu.put(self._gpu.streams[_number(stream)], Work(wait=(state, state.recorded)))
        return 0

    def cuEventDestroy_v2(self, event: Any) -> int:  # noqa: N802
        return 0  # what waits for it still waits

    def cuMemAlloc_v2(self, address: Any, nbytes: Any) -> int:  # noqa: N802
        found = None if self._gpu.fails("cuMemAlloc_v2") else self._gpu.allocate(_number(nbytes))
        address._obj.value = found or 0
        return OUT_OF_MEMORY if found is None else 0

    def cuMemFree_v2(self, address: Any) -> int:  # noqa: N802
        assert self._gpu.stack, "cuMemFree_v2 was called without a current context"
        self._gpu.free(_number(address))
        return 0

    def cuGetErrorName(self, status: int, name: Any) -> int:  # noqa: N802
        name._obj.value = NAMES[status]
        return 0
