"""Copy between arrays of the host and a tensor that stays on a device, in whichever way is fastest there.

Through pinned memory the bus runs at full speed, but the host copies once more, with one thread or with all of
PyTorch's; without, the driver copies in pieces through pinned memory of its own. Which is faster depends on the size,
the processor and the driver, so each way is timed when it is set up.

A step that waits for the device costs the host some tens of microseconds, so unless single steps are timed,
upload, run and download are queued on one stream and waited for once (`WholeRun`), if that is faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn_deploy.errors import RunnerError

ROUNDS = 5
DIRECTLY = "directly"
ONE_THREAD = "pinned, one thread"
ALL_THREADS = "pinned, PyTorch's threads"
IN_STEPS = "with a wait after each step"
# Of the labels; kernels that add up in any order may flip a label where two logits are as good as equal.
SAME_LABELS = 0.999


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
                ONE_THREAD: self._by_numpy,
                ALL_THREADS: self._by_torch,
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


class WholeRun:
    """Upload, run and download, queued on one stream, with one wait at the end.

    Attributes:
        way: how the image is copied, as chosen by `choose`; "" where steps with a wait after each are faster.
        remark: the time of each way, from an array of the host to arrays of the host.
    """

    def __init__(self, stream: Any, image: Tensor, start: Callable[[], None], outputs: Sequence[Tensor]) -> None:
        """Hold pinned memory for `image` and `outputs`.

        Args:
            stream: of PyTorch's, on which `start` puts its work; None on the CPU.
            start: runs what reads `image` and writes `outputs`, without waiting.
        """
        self.way, self.remark = "", ""
        self._stream, self._image, self._start, self._outputs = stream, image, start, tuple(outputs)
        self._host = _host_memory(image)
        self._array = self._host.numpy()
        self._held = [_host_memory(output) for output in outputs]
        self._arrays = [held.numpy() for held in self._held]

    def infer(self, array: NDArray[Any], way: str = "") -> list[NDArray[Any]]:
        """Return the outputs for `array`, which belong to the caller."""
        with torch.inference_mode():
            return self._infer(array, way or self.way)

    def _infer(self, array: NDArray[Any], way: str) -> list[NDArray[Any]]:
        source = self._host
        if way == ONE_THREAD:
            np.copyto(self._array, array)
        elif way == ALL_THREADS:
            self._host.copy_(tensor_over(array))
        else:
            source = tensor_over(array)
        try:
            with torch.cuda.stream(self._stream):
                self._image.copy_(source, non_blocking=True)
                self._start()
                for held, output in zip(self._held, self._outputs, strict=True):
                    held.copy_(output, non_blocking=True)
        finally:
            if self._stream is not None:
                self._stream.synchronize()
        return [array.copy() for array in self._arrays]

    def choose(self, in_steps: Callable[[NDArray[Any]], list[NDArray[Any]]]) -> None:
        """Time each way against `in_steps`, the same work with a wait after each step, and keep the fastest.

        Raises:
            RunnerError: the outputs differ from those of `in_steps`.
        """
        ways = (ONE_THREAD, ALL_THREADS, DIRECTLY)
        samples = _samples(self._array)
        for sample in samples:
            expected = in_steps(sample)
            for way in ways:
                if not all(map(_same, self.infer(sample, way), expected)):
                    raise RunnerError(f"queued with one wait ({way}), it gives other outputs")
        calls = {IN_STEPS: partial(in_steps, samples[0])} | {way: partial(self.infer, samples[0], way) for way in ways}
        times = times_of(calls)
        best = min(times, key=lambda name: times[name])
        self.way = "" if best == IN_STEPS else best
        chosen = f"{1e3 * times[best]:.3g} ms from host to host {best if best == IN_STEPS else 'with one wait'}"
        chosen += f", images copied {best}" if self.way else ""
        others = [f"{1e3 * taken:.3g} {name}" for name, taken in times.items() if name != best]
        self.remark = f"{chosen} ({', '.join(others)})"


def _host_memory(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)


def _samples(like: NDArray[Any]) -> list[NDArray[Any]]:
    """Return two images that share little; floats lie where normalised pixels do."""
    steps = np.arange(like.size)
    values = [steps // 3 % 251, steps[::-1] // 11 % 241]
    scaled = values if like.dtype == np.uint8 else [value / 64 - 2 for value in values]
    return [value.astype(like.dtype).reshape(like.shape) for value in scaled]


def _same(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if found.dtype.kind != "f":
        return bool(np.mean(found == expected) >= SAME_LABELS)
    finite = expected[np.isfinite(expected)]
    most = float(np.abs(finite).max(initial=0))
    return bool(np.allclose(found, expected, rtol=0, atol=1e-2 * most, equal_nan=True))


def tensor_over(array: NDArray[Any]) -> Tensor:
    """Return a tensor in the memory of `array`; of a read-only one a copy, as PyTorch would warn."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _wait(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.current_stream(tensor.device).synchronize()


def fastest(ways: Mapping[str, Callable[[], object]]) -> str:
    """Return the name of the call that takes the least time, by `times_of`."""
    times = times_of(ways)
    return min(times, key=lambda name: times[name])


def times_of(ways: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of each call over some turns; one turn is for nothing."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(1 + ROUNDS):
        for name, call in ways.items():
            started = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - started)
    return {name: median(taken) for name, taken in times.items()}
