"""Hold inputs and outputs of a session where its device reads them, at addresses that stay."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Dims = tuple[int, ...]


class Buffer(Protocol):
    """One tensor on a device. `read` waits for what the session wrote, and gives an array of the caller's own."""

    shape: Dims
    dtype: np.dtype[Any]

    @property
    def address(self) -> int: ...

    def bind_input(self, binding: Any, name: str) -> None: ...

    def bind_output(self, binding: Any, name: str) -> None: ...

    def write(self, array: NDArray[Any]) -> None: ...

    def read(self) -> NDArray[Any]: ...


class OrtBuffer:
    """Memory of ONNX Runtime's; copies go through pageable memory of the host."""

    def __init__(self, shape: Dims, dtype: np.dtype[Any], device: str, ordinal: int) -> None:
        from onnxruntime import OrtValue

        self.shape, self.dtype = shape, dtype
        self._value = OrtValue.ortvalue_from_shape_and_type(list(shape), dtype.type, device, ordinal)

    @property
    def address(self) -> int:
        return int(self._value.data_ptr())

    def bind_input(self, binding: Any, name: str) -> None:
        binding.bind_ortvalue_input(name, self._value)

    def bind_output(self, binding: Any, name: str) -> None:
        binding.bind_ortvalue_output(name, self._value)

    def write(self, array: NDArray[Any]) -> None:
        self._value.update_inplace(array)

    def read(self) -> NDArray[Any]:
        array: NDArray[Any] = self._value.numpy().copy()
        return array


class TorchBuffer:
    """Memory of PyTorch's, with pinned memory beside it on a GPU, so that copies run at the full speed of the bus."""

    def __init__(self, shape: Dims, dtype: np.dtype[Any], device: str, ordinal: int) -> None:
        import torch

        kind, on_gpu = torch.from_numpy(np.empty(0, dtype)).dtype, device != "cpu"
        self.shape, self.dtype = shape, dtype
        self._place = device, ordinal
        self._tensor = torch.zeros(shape, dtype=kind, device=f"{device}:{ordinal}" if on_gpu else device)
        self._host = torch.empty(shape, dtype=kind, pin_memory=True) if on_gpu else self._tensor
        if on_gpu:
            torch.cuda.current_stream(self._tensor.device).synchronize()  # the zeros are there before the first write

    @property
    def address(self) -> int:
        return int(self._tensor.data_ptr())

    def bind_input(self, binding: Any, name: str) -> None:
        binding.bind_input(name, *self._place, self.dtype.type, list(self.shape), self.address)

    def bind_output(self, binding: Any, name: str) -> None:
        binding.bind_output(name, *self._place, self.dtype.type, list(self.shape), self.address)

    def write(self, array: NDArray[Any]) -> None:
        import torch

        # Not written to; a read-only array makes PyTorch warn.
        self._host.copy_(torch.from_numpy(array if array.flags.writeable else array.copy()))
        self._transfer(self._tensor, self._host)

    def read(self) -> NDArray[Any]:
        self._transfer(self._host, self._tensor)
        array: NDArray[Any] = self._host.numpy().copy()
        return array

    def _transfer(self, target: Any, source: Any) -> None:
        if self._host is not self._tensor:
            import torch

            target.copy_(source, non_blocking=True)
            torch.cuda.current_stream(self._tensor.device).synchronize()


def make_buffer(shape: Dims, dtype: np.dtype[Any], device: str, ordinal: int) -> Buffer:
    """Return zeros on `device`; of PyTorch's where it has CUDA."""
    if device == "cuda":
        import torch

        if torch.cuda.is_available():
            return TorchBuffer(shape, dtype, device, ordinal)
    return OrtBuffer(shape, dtype, device, ordinal)
