"""Slots: what one inference under way needs of its own, so that copies of others overlap with its computation.

    copy stream of slot A   upload 0            download 0  upload 3
    copy stream of slot B       upload 1                    download 1
    compute stream                  compute 0   compute 1   compute 2

The compute stream is one for all. Events are what orders the streams: compute waits for the slot's upload, the
slot's download for its compute. The host waits for a slot's copy stream before it reads or reuses pinned memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.runners.arrays import GpuArray
from fcn_deploy.runners.cuda.context import CudaDevice
from fcn_deploy.runners.cuda.memory import TensorMemory

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: no waiting for the default stream, where other libraries may work


@dataclass(frozen=True)
class Layout:
    """Shape and type of one tensor."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize


class Slot:
    """Memory, copy stream and events of one inference. Call its methods inside `CudaDevice.active`.

    Attributes:
        stream: of its copies.
        layouts: of the outputs of the last `compute`; given: outputs that stay on the GPU.
    """

    def __init__(
        self,
        device: CudaDevice,
        compute_stream: Any,
        inputs: Sequence[str],
        outputs: Sequence[str],
        read: Sequence[str],
    ) -> None:
        """Allocate device memory for `outputs`; those in `read` are downloaded too."""
        driver = device.driver
        self.memory = {name: TensorMemory(device, name, pinned=True) for name in inputs}
        self.memory |= {name: TensorMemory(device, name, pinned=name in read) for name in outputs}
        self.layouts: dict[str, Layout] = {}
        self.given: dict[str, GpuArray] = {}
        self._driver = driver
        self._taken: GpuArray | None = None
        self._read = tuple(read)
        self._compute_stream = compute_stream
        self.stream = driver.Stream(NON_BLOCKING)
        self._uploaded = driver.Event(driver.event_flags.DISABLE_TIMING)
        self._computed = driver.Event(driver.event_flags.DISABLE_TIMING)
        # Whether the device may still read or write this slot's memory.
        self._pending = False

    @property
    def addresses(self) -> dict[str, int]:
        """Device address of each tensor."""
        return {name: memory.address for name, memory in self.memory.items()}

    def reserve(self, layouts: Mapping[str, Layout]) -> None:
        """Hold memory for tensors of these layouts; RunnerError if there is too little."""
        for name, layout in layouts.items():
            self.memory[name].reserve(layout.nbytes)

    def upload(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Start copying `arrays` to the device."""
        self.settle()
        self._pending = True
        for name, array in arrays.items():
            self.memory[name].upload(array, self.stream)
        self._uploaded.record(self.stream)

    def take(self, name: str, image: GpuArray) -> None:
        """Start copying an input from elsewhere on the GPU, on the compute stream; keeps it until `finish`."""
        self.settle()
        self._pending, self._taken = True, image
        self.memory[name].reserve(image.nbytes)
        self._driver.memcpy_dtod_async(self.memory[name].address, image.address, image.nbytes, self._compute_stream)
        self._uploaded.record(self._compute_stream)

    def compute(self, layouts: Mapping[str, Layout], enqueue: Callable[[dict[str, int], Any], None]) -> None:
        """Have `enqueue(addresses, compute stream)` put its work behind this slot's upload.

        Args:
            layouts: of the outputs that it will write.
        """
        self.reserve(layouts)
        self.layouts = dict(layouts)
        self._pending = True
        self._compute_stream.wait_for_event(self._uploaded)
        enqueue(self.addresses, self._compute_stream)
        self._computed.record(self._compute_stream)

    def download(self) -> None:
        """Start copying the outputs that are read, behind this slot's compute."""
        self._pending = True
        self.stream.wait_for_event(self._computed)
        for name in self._read:
            self.memory[name].download(self.layouts[name].nbytes, self.stream)

    def give(self, ordinal: int) -> None:
        """Start copying the outputs that are read to own memory on GPU `ordinal`, behind this slot's compute."""
        self._pending = True
        self.stream.wait_for_event(self._computed)
        for name in self._read:
            layout = self.layouts[name]
            self.given[name] = GpuArray.empty(layout.shape, layout.dtype, ordinal)
            self._driver.memcpy_dtod_async(
                self.given[name].address, self.memory[name].address, layout.nbytes, self.stream
            )

    def finish(self) -> None:
        """Wait for this slot's copies, and with a download for its compute; other slots go on."""
        self.stream.synchronize()
        self._pending, self._taken = False, None

    def read(self) -> dict[str, Any]:
        """Return the outputs that `download` or `give`, and `finish`, brought, as arrays of the caller's own."""
        if self.given:
            given, self.given = self.given, {}
            return given
        layouts = {name: self.layouts[name] for name in self._read}
        return {name: self.memory[name].read(layout.shape, layout.dtype) for name, layout in layouts.items()}

    def settle(self) -> None:
        """Wait until the device has let go of this slot's memory, also after a failure halfway."""
        if self._pending:
            self._compute_stream.synchronize()
            self.finish()

    def close(self) -> None:
        """Free the memory; streams and events go with the last reference."""
        for memory in self.memory.values():
            memory.free()
        del self.stream, self._uploaded, self._computed, self._compute_stream
