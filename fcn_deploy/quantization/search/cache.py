"""Keep arrays of many images on disk: the activations of a wide network at full size do not fit into memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.errors import OutputError
from fcn_deploy.graph.sizes import ImageSize, tensor_sizes
from fcn_deploy.system.files import output_error

Tensors = Mapping[str, NDArray[Any]]
_SPARE_BYTES = 64 << 20  # of the disk, left to others


class TensorCache:
    """Named tensors by (kind, image), one file each, until the folder is removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._layout: dict[tuple[str, int], list[tuple[str, np.dtype[Any], tuple[int, ...]]]] = {}

    def put(self, kind: str, index: int, tensors: Tensors) -> None:
        """Store tensors in place of those under the same key.

        Raises:
            OutputError: the disk is full.
        """
        path = self._path(kind, index)
        try:
            with path.open("wb") as stream:
                for array in tensors.values():
                    stream.write(array.tobytes())
        except OSError as error:
            raise output_error(path, error) from error
        self._layout[kind, index] = [(name, array.dtype, array.shape) for name, array in tensors.items()]

    def get(self, kind: str, index: int) -> dict[str, NDArray[Any]]:
        """Read stored tensors; the arrays belong to the caller."""
        with self._path(kind, index).open("rb") as stream:
            return {
                name: np.fromfile(stream, dtype, int(np.prod(shape))).reshape(shape)
                for name, dtype, shape in self._layout[kind, index]
            }

    def has(self, kind: str, index: int) -> bool:
        return (kind, index) in self._layout

    def _path(self, kind: str, index: int) -> Path:
        return self.folder / f"{kind}.{index}"


def cache_bytes(model: ir.Model, cuts: Iterable[Sequence[str]], largest: tuple[int, int], pixels: int) -> int:
    """Return an estimate of what the tensors at the fullest of `cuts` take for all images.

    Args:
        largest: H, W of the largest image, whose shapes are inferred; the others count by their pixels.
        pixels: of all images.
    """
    sizes = tensor_sizes(model, ImageSize(1, *largest))
    fullest = max((sum(sizes[name].nbytes for name in cut) for cut in cuts), default=0)
    return int(fullest * pixels / (largest[0] * largest[1]))


def check_disk_space(folder: Path, needed: int) -> None:
    """Raise OutputError if `folder` does not have `needed` bytes free, before the search starts."""
    free = shutil.disk_usage(folder).free - _SPARE_BYTES
    if free < needed:
        raise OutputError(
            f"the search keeps up to {needed / 1e9:.2f} GB of activations in {folder.parent} and "
            f"{max(free, 0) / 1e9:.2f} GB are free; take fewer images (--max-search-images) or another folder (TMPDIR)"
        )
