"""Memory that processes share, in slots of one image with its labels and their confidence each."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fcn_deploy.prediction.image_states import LoadedImage, Tensors
from fcn_deploy.vocabulary import CONFIDENCE, LABELS

# Bytes from one slot to the next. Only what was written takes memory, so a slot may be as large as any image.
STRIDE = 2 << 30
_ALIGNMENT = 64
_LARGE = 64 << 20  # bytes from which on the memory of a slot is given back when it is free


class Slots:
    """`count` slots in the anonymous file `descriptor`: the image first, then the labels, then the confidence.

    The file is not in /dev/shm, whose size containers limit, and disappears with the last process that has it open.
    """

    def __init__(self, descriptor: int, count: int) -> None:
        """Map the file; OSError if there is no room for that many addresses."""
        self.count = count
        os.ftruncate(descriptor, (count + 1) * STRIDE)  # one more for the flag
        self._memory = mmap.mmap(descriptor, (count + 1) * STRIDE)

    @property
    def stopped(self) -> bool:
        """Whether no more results are needed."""
        return self._memory[self.count * STRIDE] != 0

    def stop(self) -> None:
        """Tell every process to drop what it has not begun."""
        self._memory[self.count * STRIDE] = 1

    def image(self, slot: int, shape: Sequence[int]) -> NDArray[np.uint8]:
        """Return uint8[H, W, 3] in the slot; MemoryError if it and what is made of it do not fit."""
        if int(np.prod(shape)) // 3 * 8 + _ALIGNMENT > STRIDE:  # labels have up to four bytes per pixel
            raise MemoryError
        image: NDArray[np.uint8] = np.ndarray(tuple(shape), np.uint8, self._memory, slot * STRIDE)
        return image

    def loaded(self, slot: int, index: int, name: PurePosixPath, shape: Sequence[int]) -> LoadedImage:
        """Return the image in the slot, whose labels and confidence are kept there; MemoryError if it is too large."""

        def keep(tensors: Tensors) -> Tensors:
            own = {LABELS: self.labels(slot, shape[:2], tensors[LABELS].dtype)}
            if CONFIDENCE in tensors:
                own[CONFIDENCE] = self.confidence(slot, shape[:2])
            for name, values in own.items():
                np.copyto(values, tensors[name])
            return own

        return LoadedImage(index, name, self.image(slot, shape), keep)

    def labels(self, slot: int, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """Return labels [H, W] of the image in the slot."""
        pixels = shape[0] * shape[1]
        offset = -(-3 * pixels // _ALIGNMENT) * _ALIGNMENT
        labels: NDArray[Any] = np.ndarray(tuple(shape), dtype, self._memory, slot * STRIDE + offset)
        return labels

    def confidence(self, slot: int, shape: Sequence[int]) -> NDArray[np.uint8]:
        """Return the confidence uint8[H, W] of the labels in the slot."""
        pixels = shape[0] * shape[1]
        offset = -(-3 * pixels // _ALIGNMENT) * _ALIGNMENT + 4 * pixels
        confidence: NDArray[np.uint8] = np.ndarray(tuple(shape), np.uint8, self._memory, slot * STRIDE + offset)
        return confidence

    def free(self, slot: int, shape: Sequence[int]) -> None:
        """Give back the memory of an image that is no longer used, if it is much."""
        if shape[0] * shape[1] * 3 >= _LARGE:
            self._memory.madvise(mmap.MADV_REMOVE, slot * STRIDE, STRIDE)
