"""Estimate the memory that a PyTorch inference takes on a CPU: a run on a batch of no images shows all shapes."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from fcn_deploy.vocabulary import Shape

# What the C library keeps of freed tensors below 32 MiB, its largest threshold: up to 150 MiB were measured.
KEPT = 160 << 20


def peak_bytes(call: Callable[[Tensor], object], shape: Shape) -> int:
    """Return the bytes that are in use at once, at most, while `call` runs on an image uint8[N, H, W, 3]."""
    count, height, width = shape
    images = torch.empty((0, height, width, 3), dtype=torch.uint8)
    live = _LiveBytes(count, images)
    with torch.inference_mode(), live:
        call(images)
    return live.most + min(live.most // 2, KEPT)


class _LiveBytes(TorchFunctionMode):
    """Count the bytes that results of operators would take while they are alive, and what convolutions work on.

    Attributes:
        most: at once, with `count` images in place of none; without the images themselves.
    """

    def __init__(self, count: int, images: Tensor) -> None:
        super().__init__()
        self.most = self._now = 0
        self._count = count
        self._known = weakref.WeakSet([images.untyped_storage()])

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf)
        scratch = _SCRATCH[func](args[0], args[1], result) if func in _SCRATCH else (0, 0)
        self.most = max(self.most, self._now + scratch[0] + self._count * scratch[1])
        return result

    def _add(self, result: Tensor) -> None:
        storage = result.untyped_storage()
        if storage not in self._known:
            self._known.add(storage)
            nbytes = self._count * _nbytes(result)
            self._now += nbytes
            weakref.finalize(storage, self._release, nbytes)

    def _release(self, nbytes: int) -> None:
        self._now -= nbytes


def _nbytes(value: Tensor) -> int:
    """Return the bytes of one image's part of a value."""
    return math.prod(value.shape[1:]) * value.element_size()


def _reordered(data: Tensor, weight: Tensor, result: Tensor) -> tuple[int, int]:
    """Return what oneDNN takes for a while: weights, and of each image the operand or the result, in its own order."""
    return weight.nbytes, max(_nbytes(data), _nbytes(result))


def _columns(data: Tensor, weight: Tensor, result: Tensor) -> tuple[int, int]:
    """Return what a transposed convolution adds into its result: a value for each place and channel of its weights."""
    return 0, math.prod((*data.shape[2:], *weight.shape[1:])) * data.element_size()


_SCRATCH: dict[Any, Callable[[Tensor, Tensor, Tensor], tuple[int, int]]] = {
    torch.conv2d: _reordered,
    torch.conv_transpose2d: _columns,
}
