"""Hold inputs and outputs of a session where its device reads them, at addresses that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fcn_deploy.runners.transfers import Download, Upload

Dims = tuple[int, ...]


class Buffer(Protocol):
    """One tensor on a device. `read` waits for what the session wrote, and gives an array of the caller's own."""

    shape: Dims
    dtype: np.dtype[Any]

    @property
    def way(self) -> str:
        """How the input is copied, in words; "" if there is nothing to say."""

    @property
    def address(self) -> int: ...

    def bind_input(self, binding: Any, name: str) -> None: ...

    def bind_output(self, binding: Any, name: str) -> None: ...

    def write(self, array: NDArray[Any]) -> None: ...

    def read(self) -> NDArray[Any]: ...


class OrtBuffer:
    """Memory of ONNX Runtime's; copies go through pageable memory of the host."""

    way = ""

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
    """Memory of PyTorch's, `tensor`, to which copies go in whichever way is fastest (`runners.transfers`)."""

    def __init__(self, shape: Dims, dtype: np.dtype[Any], device: str, ordinal: int) -> None:
        import torch

        self._upload: Upload | None = None
        self._download: Download | None = None
        self.shape, self.dtype = shape, dtype
        self._place = device, ordinal
        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        self.tensor = torch.zeros(shape, dtype=kind, device=device if device == "cpu" else f"{device}:{ordinal}")

    @property
    def way(self) -> str:
        return "" if self._upload is None else self._upload.way

    @property
    def address(self) -> int:
        return int(self.tensor.data_ptr())

    def bind_input(self, binding: Any, name: str) -> None:
        from fcn_deploy.runners.transfers import Upload

        self._upload = self._upload or Upload(self.tensor)
        binding.bind_input(name, *self._place, self.dtype.type, list(self.shape), self.address)

    def bind_output(self, binding: Any, name: str) -> None:
        self._reader()
        binding.bind_output(name, *self._place, self.dtype.type, list(self.shape), self.address)

    def write(self, array: NDArray[Any]) -> None:
        from fcn_deploy.runners.transfers import tensor_over

        assert self._upload is not None
        self._upload.write(tensor_over(array))

    def read(self) -> NDArray[Any]:
        return self._reader().read()

    def _reader(self) -> Download:
        from fcn_deploy.runners.transfers import Download

        self._download = self._download or Download(self.tensor)
        return self._download


def make_buffer(shape: Dims, dtype: np.dtype[Any], device: str, ordinal: int) -> Buffer:
    """Return zeros on `device`; of PyTorch's where it has CUDA."""
    if device == "cuda":
        import torch

        if torch.cuda.is_available():
            return TorchBuffer(shape, dtype, device, ordinal)
    return OrtBuffer(shape, dtype, device, ordinal)
