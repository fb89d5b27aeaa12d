"""Copy between arrays of the host and a tensor that stays on a device, in whichever way is fastest there.

Through pinned memory the bus runs at full speed, but the host copies once more, with one thread or with all of
PyTorch's; without, the driver copies in pieces through pinned memory of its own. Which is faster depends on the size,
the processor and the driver, so each way is timed when it is set up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROUNDS = 5
DIRECTLY = "directly"


class Upload:
    """Writes to `tensor`, and waits.

    Attributes:
        way: how, in words.
    """

    def __init__(self, tensor: Tensor) -> None:
        """Try each way with zeros."""
        self._tensor = tensor
        self.way = DIRECTLY
        self._write: Callable[[Tensor], None] = self._directly
        if tensor.is_cuda:
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._array = self._host.numpy()
            ways: dict[str, Callable[[Tensor], None]] = {
                "pinned, one thread": self._by_numpy,
                "pinned, PyTorch's threads": self._by_torch,
                DIRECTLY: self._directly,
            }
            sample = torch.zeros(tensor.shape, dtype=tensor.dtype)
            with torch.inference_mode():
                self.way = fastest({name: partial(way, sample) for name, way in ways.items()})
            self._write = ways[self.way]

    def write(self, array: Tensor) -> None:
        """Bring an array of the host, or of the same device, to the tensor."""
        with torch.inference_mode():
            if array.is_cuda:
                self._directly(array)
            else:
                self._write(array)

    def _by_numpy(self, array: Tensor) -> None:
        np.copyto(self._array, array.numpy())
        self._from_pinned()

    def _by_torch(self, array: Tensor) -> None:
        self._host.copy_(array)
        self._from_pinned()

    def _from_pinned(self) -> None:
        self._tensor.copy_(self._host, non_blocking=True)
        _wait(self._tensor)

    def _directly(self, array: Tensor) -> None:
        self._tensor.copy_(array)
        _wait(self._tensor)


class Download:
    """Reads `tensor`, behind what its stream does; `way` as for `Upload`."""

    def __init__(self, tensor: Tensor) -> None:
        """Try each way with what the tensor holds."""
        self._tensor = tensor
        self.way = DIRECTLY
        self._read: Callable[[], NDArray[Any]] = self._directly
        if tensor.is_cuda:
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            ways: dict[str, Callable[[], NDArray[Any]]] = {"pinned": self._pinned, DIRECTLY: self._directly}
            with torch.inference_mode():
                self.way = fastest(ways)
            self._read = ways[self.way]

    def read(self) -> NDArray[Any]:
        """Return an array of the caller's own."""
        with torch.inference_mode():
            return self._read()

    def _pinned(self) -> NDArray[Any]:
        self._host.copy_(self._tensor, non_blocking=True)
        _wait(self._tensor)
        array: NDArray[Any] = self._host.numpy().copy()
        return array

    def _directly(self) -> NDArray[Any]:
        array: NDArray[Any] = self._tensor.cpu().numpy()
        return array if self._tensor.is_cuda else array.copy()


def _wait(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.current_stream(tensor.device).synchronize()


def fastest(ways: Mapping[str, Callable[[], object]]) -> str:
    """Return the name of the call that takes the least time, by the median of some turns; one turn is for nothing."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(1 + ROUNDS):
        for name, call in ways.items():
            started = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - started)
    return min(times, key=lambda name: median(times[name]))
