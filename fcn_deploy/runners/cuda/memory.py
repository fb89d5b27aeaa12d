"""Memory for one tensor, on the host and on the GPU, that grows on demand and is freed by hand.

The host's half is pinned (page-locked): only such memory is copied while the GPU computes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.cuda.context import CudaDevice

MIB = 1 << 20


class TensorMemory:
    """Device memory of one tensor of one slot, and as much pinned memory. Call its methods inside `CudaDevice.active`.

    Growing frees the old memory, so nothing that reads or writes it may be under way. A tensor that the host neither
    gives nor reads goes without the pinned half.

    Attributes:
        capacity: bytes that both halves hold.
    """

    def __init__(self, device: CudaDevice, tensor: str, *, pinned: bool = True) -> None:
        self._device = device
        self._with_pinned = pinned
        self._driver = device.driver
        self._tensor = tensor
        self._pinned: NDArray[np.uint8] | None = None
        self._allocation: Any = None
        self.capacity = 0

    @property
    def address(self) -> int:
        """Address of the device's half; 0 before the first `reserve`."""
        return 0 if self._allocation is None else int(self._allocation)

    def reserve(self, nbytes: int) -> None:
        """Hold at least `nbytes`.

        Raises:
            RunnerError: too little memory is free; nothing is held then.
        """
        if nbytes <= self.capacity:
            return
        self.free()
        try:
            self._allocation = self._driver.mem_alloc(nbytes)
            if self._with_pinned:
                self._pinned = self._driver.pagelocked_empty((nbytes,), np.uint8)
        except self._driver.MemoryError as error:
            kind = "GPU" if self._allocation is None else "pinned host"
            self.free()
            raise RunnerError(self._no_memory(kind, nbytes)) from error
        except BaseException:
            self.free()
            raise
        self.capacity = nbytes

    def upload(self, array: NDArray[Any], stream: Any) -> None:
        """Copy `array` into pinned memory now and from there to the device when `stream` gets to it."""
        self.reserve(array.nbytes)
        assert self._pinned is not None
        view = self._pinned[: array.nbytes]
        np.copyto(view.view(array.dtype).reshape(array.shape), array)
        self._driver.memcpy_htod_async(self.address, view, stream)

    def download(self, nbytes: int, stream: Any) -> None:
        """Copy the first `nbytes` of the device's half into the pinned one when `stream` gets to it."""
        assert self._pinned is not None
        self._driver.memcpy_dtoh_async(self._pinned[:nbytes], self.address, stream)

    def read(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return what the last download brought, as an array of the caller's own."""
        assert self._pinned is not None
        nbytes = int(np.prod(shape)) * dtype.itemsize
        array: NDArray[Any] = self._pinned[:nbytes].view(dtype).reshape(shape).copy()
        return array

    def free(self) -> None:
        """Give both halves back; a second call does nothing."""
        pinned, allocation = self._pinned, self._allocation
        self._pinned, self._allocation, self.capacity = None, None, 0
        try:
            if pinned is not None:
                pinned.base.free()  # type: ignore[union-attr]
        finally:
            if allocation is not None:
                allocation.free()

    def _no_memory(self, kind: str, nbytes: int) -> str:
        free, total = self._device.free_bytes()
        return (
            f"out of {kind} memory: '{self._tensor}' needs {nbytes / MIB:.1f} MiB; {free / MIB:.1f} of "
            f"{total / MIB:.1f} MiB of {self._device.name} are free; run smaller batches or fewer slots"
        )
