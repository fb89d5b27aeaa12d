"""`pycuda.driver` over a fake GPU: the names, arguments and errors of PyCUDA 2026.1 that the runner uses."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.support.fakes.gpu import FREED, EventState, Gpu, Work


class Error(Exception):
    pass


class MemoryError(Error):
    pass


class LogicError(Error):
    pass


class HostAllocation:
    """Pinned memory; the array handed out has this as its base, as PyCUDA's has."""

    def __init__(self, gpu: Gpu, nbytes: int) -> None:
        self._gpu = gpu
        self._memory = np.full(nbytes, FREED, np.uint8)
        self.__array_interface__ = self._memory.__array_interface__
        self._address = self.__array_interface__["data"][0]
        gpu.pinned[self._address] = (nbytes, self)
        gpu.made["pinned"] += 1

    def free(self) -> None:
        if self._address not in self._gpu.pinned:
            raise LogicError("pagelocked_host_allocation::free failed: invalid resource handle")
        _require_context(self._gpu, "free")
        del self._gpu.pinned[self._address]
        self._memory[:] = FREED


class DeviceAllocation:
    def __init__(self, gpu: Gpu, address: int) -> None:
        self._gpu, self._address, self._valid = gpu, address, True

    def __int__(self) -> int:
        return self._address

    def free(self) -> None:
        if not self._valid:
            raise LogicError("device_allocation::free failed: invalid resource handle")
        _require_context(self._gpu, "free")
        self._valid = False
        self._gpu.free(self._address)


def driver_of(gpu: Gpu) -> ModuleType:
    """A module `pycuda.driver` whose only device is `gpu`."""
    driver = ModuleType("pycuda.driver")

    class Context:
        def detach(self) -> None:
            gpu.made["context detached"] += 1

        def push(self) -> None:
            gpu.stack.append(self)
            if gpu.fails("push"):
                gpu.stack.pop()
                raise LogicError("cuCtxPushCurrent failed: invalid device context")

        @staticmethod
        def pop() -> None:
            if not gpu.stack:
                raise LogicError("context::pop failed: invalid device context - cannot pop non-current context")
            gpu.stack.pop()

    class Device:
        def __init__(self, ordinal: int) -> None:
            if ordinal != 0:
                raise LogicError("cuDeviceGet failed: invalid device ordinal")

        @staticmethod
        def count() -> int:
            return 1

        def name(self) -> str:
            return "Fake GPU"

        def compute_capability(self) -> tuple[int, int]:
            return (8, 9)

        def retain_primary_context(self) -> Context:
            gpu.made["context"] += 1
            return Context()

    class Stream:
        def __init__(self, flags: int = 0) -> None:
            _fail(gpu, "Stream", "cuStreamCreate")
            assert flags == 1, "a stream that waits for the default stream waits for other libraries"
            self._state = gpu.new_stream()

        @property
        def handle(self) -> int:
            return self._state.handle

        def synchronize(self) -> None:
            _fail(gpu, "synchronize", "cuStreamSynchronize")
            if self._state.captured is not None:
                raise LogicError("cuStreamSynchronize failed: operation not permitted when stream is capturing")
            gpu.drain(self._state)

        def wait_for_event(self, event: Event) -> None:
            _fail(gpu, "wait_for_event", "cuStreamWaitEvent")
            if event.state.recorded:  # an event that was never recorded is not waited for
                gpu.put(self._state, Work(wait=(event.state, event.state.recorded)))

        def __del__(self) -> None:
            if hasattr(self, "_state"):
                gpu.end_stream(self._state)

    class Event:
        def __init__(self, flags: int = 0) -> None:
            _fail(gpu, "Event", "cuEventCreate")
            self.state = EventState()

        def record(self, stream: Stream) -> None:
            _fail(gpu, "record", "cuEventRecord")
            self.state.recorded += 1
            self.state.streams[self.state.recorded] = stream._state
            gpu.put(stream._state, Work(record=(self.state, self.state.recorded)))

        def synchronize(self) -> Event:
            _fail(gpu, "Event.synchronize", "cuEventSynchronize")
            if self.state.recorded:
                gpu.drain(self.state.streams[self.state.recorded])
            return self

        def time_till(self, other: Event) -> float:
            if not (self.state.reached == self.state.recorded > 0 and other.state.reached == other.state.recorded > 0):
                raise LogicError("cuEventElapsedTime failed: device not ready")
            return 1e3 * (other.state.reached_s - self.state.reached_s)

    def mem_alloc(nbytes: int) -> DeviceAllocation:
        address = None if gpu.fails("mem_alloc") else gpu.allocate(nbytes)
        if address is None:
            raise MemoryError("cuMemAlloc failed: out of memory")
        return DeviceAllocation(gpu, address)

    def pagelocked_empty(shape: tuple[int, ...], dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
        if gpu.fails("pagelocked_empty"):
            raise MemoryError("cuMemHostAlloc failed: out of memory")
        allocation = HostAllocation(gpu, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        array = np.asarray(allocation)
        assert array.base is allocation
        return array

    def memcpy_htod_async(dest: int, src: np.ndarray, stream: Stream) -> None:
        _fail(gpu, "memcpy_htod_async", "cuMemcpyHtoDAsync")
        gpu.require_pinned(src)

        def copy() -> None:
            gpu.require_pinned(src)
            gpu.view(dest, src.nbytes)[:] = src.view(np.uint8)

        gpu.put(stream._state, Work(run=copy))

    def memcpy_dtoh_async(dest: np.ndarray, src: int, stream: Stream) -> None:
        _fail(gpu, "memcpy_dtoh_async", "cuMemcpyDtoHAsync")
        gpu.require_pinned(dest)

        def copy() -> None:
            gpu.require_pinned(dest)
            dest.view(np.uint8)[:] = gpu.view(src, dest.nbytes)

        gpu.put(stream._state, Work(run=copy))

    def memcpy_dtod_async(dest: int, src: int, size: int, stream: Stream) -> None:
        _fail(gpu, "memcpy_dtod_async", "cuMemcpyDtoDAsync")

        def copy() -> None:
            gpu.view(dest, size)[:] = gpu.view(src, size)

        gpu.put(stream._state, Work(run=copy))

    names: dict[str, Any] = {
        "init": lambda flags=0: None,
        "mem_get_info": lambda: (gpu.total_bytes - gpu.used_bytes, gpu.total_bytes),
        "event_flags": SimpleNamespace(DISABLE_TIMING=2),
    }
    for item in (Error, MemoryError, LogicError, Context, Device, Stream, Event):
        names[item.__name__] = item
    for function in (mem_alloc, pagelocked_empty, memcpy_htod_async, memcpy_dtoh_async, memcpy_dtod_async):
        names[function.__name__] = function
    vars(driver).update(names)
    return driver


def _fail(gpu: Gpu, name: str, cuda_name: str) -> None:
    if gpu.fails(name):
        raise LogicError(f"{cuda_name} failed: injected")


def _require_context(gpu: Gpu, name: str) -> None:
    assert gpu.stack, f"{name} was called without a current context"
