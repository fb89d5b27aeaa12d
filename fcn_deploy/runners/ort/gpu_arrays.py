"""Bring arrays between onnxruntime's memory on a GPU and that of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.runners.arrays import GpuArray
from fcn_deploy.runners.driver_calls import DEFAULT_STREAM, copy_and_wait, primary_context
from fcn_deploy.runners.ort.buffers import Buffer

# What an image, a label map or logits may be, by onnxruntime's name.
ELEMENT_TYPES = {
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}


def element_type(name: str) -> np.dtype[Any]:
    """Return the type that onnxruntime calls `name`: "tensor(uint8)"."""
    return np.dtype(ELEMENT_TYPES[name])


def copy_from(image: GpuArray, address: int) -> None:
    """Copy `image` to `address` on its GPU, behind the work that makes it; it may be freed then."""
    with primary_context(image.device):
        copy_and_wait(address, image.address, image.nbytes, DEFAULT_STREAM)


class DeviceImage:
    """Memory of onnxruntime's for an image, kept while the shape stays.

    Attributes:
        value: what a session is bound to.
    """

    def __init__(self, device: str, ordinal: int) -> None:
        self._device, self._ordinal = device, ordinal
        self.value: Any = None

    def write(self, image: NDArray[Any] | GpuArray) -> Any:
        """Bring an image from the host or from elsewhere on the GPU, behind the work that makes it; return `value`."""
        from onnxruntime import OrtValue

        if self.value is None or tuple(self.value.shape()) != image.shape:
            self.value = OrtValue.ortvalue_from_shape_and_type(
                list(image.shape), image.dtype.type, self._device, self._ordinal
            )
        if isinstance(image, GpuArray):
            copy_from(image, self.value.data_ptr())
        else:
            self.value.update_inplace(image)
        return self.value


def copy_of(buffer: Buffer, device: int) -> GpuArray:
    """Return a copy of what a session wrote, which its next run leaves alone."""
    with primary_context(device):
        array = GpuArray.empty(buffer.shape, buffer.dtype, device)
        copy_and_wait(array.address, buffer.address, array.nbytes, DEFAULT_STREAM)
    return array


def shared(value: Any, binding: Any, device: int) -> GpuArray:
    """Return an output of `binding` on the GPU for other libraries to read; it keeps onnxruntime's memory."""
    owner = (value, binding)
    return GpuArray(value.data_ptr(), tuple(value.shape()), element_type(value.data_type()), device, owner)
