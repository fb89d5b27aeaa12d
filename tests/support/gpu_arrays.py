"""Doubles of other libraries' arrays on a fake GPU, whose contents come late, on a stream of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcn_deploy.runners.dlpack import CUDA, make_capsule
from tests.support.fakes.gpu import EventState, Gpu, StreamState, Work


class _OnGpu:
    """`array` on `gpu`; it is written when the stream gets to it, and only code that waits for that sees it."""

    def __init__(self, gpu: Gpu, array: np.ndarray, number: int = 0) -> None:
        self.gpu, self.array, self.number = gpu, array, number
        address = gpu.allocate(array.nbytes)
        assert address is not None
        self.address: int = address
        self.stream: StreamState = gpu.new_stream()
        gpu.put(self.stream, Work(run=self._write))

    def _write(self) -> None:
        self.gpu.view(self.address, self.array.nbytes)[:] = np.ascontiguousarray(self.array).reshape(-1).view(np.uint8)

    def release(self) -> None:
        """Free memory and stream, as the library does that owns them."""
        self.gpu.drain(self.stream)
        self.gpu.end_stream(self.stream)
        self.gpu.free(self.address)


class DlpackArray(_OnGpu):
    """As of PyTorch: it has the consumer's stream wait for its own."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self.number

    def __dlpack__(self, *, stream: int | None = None) -> Any:
        if stream != -1:
            event = EventState(recorded=1, streams={1: self.stream})
            self.gpu.put(self.stream, Work(record=(event, 1)))
            self.gpu.put(self.gpu.streams[stream or 0], Work(wait=(event, 1)))
        return make_capsule(self.address, self.array.shape, self.array.dtype, (CUDA, self.number), self)


class InterfaceArray(_OnGpu):
    """As of Numba: it names its stream. `changed` replaces what it says."""

    def __init__(self, gpu: Gpu, array: np.ndarray, **changed: Any) -> None:
        super().__init__(gpu, array)
        self.changed = changed

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        strides = None if self.array.flags.c_contiguous else self.array.strides
        told = {"shape": self.array.shape, "typestr": self.array.dtype.str, "strides": strides, "version": 3}
        return told | {"data": (self.address, True), "stream": self.stream.handle} | self.changed
