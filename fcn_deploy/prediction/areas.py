"""Pixels of each class in each image, as a CSV table that grows while the images go by."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.prediction.pipeline import Ended
from fcn_deploy.system.files import atomic_path


class AreaTable:
    """Rows `image, pixels, CLASS, CLASS, ...`, one for each image that has results, in their order."""

    def __init__(self, writer: Any, classes: Sequence[str]) -> None:
        self._writer = writer
        writer.writerow(["image", "pixels", *classes])
        self.total: NDArray[np.int64] = np.zeros(len(classes), np.int64)

    def add(self, ended: Ended) -> None:
        """A row for an image whose pixels were counted."""
        if ended.pixels is not None:
            self._writer.writerow([str(ended.name), int(ended.pixels.sum()), *ended.pixels.tolist()])
            self.total += ended.pixels


@contextmanager
def area_table(target: Path, classes: Sequence[str]) -> Iterator[AreaTable]:
    """A table that becomes the file `target` when the block ends well; OutputError if it cannot be written."""
    # names of files need not be UTF-8; surrogateescape gives their bytes back
    with (
        atomic_path(target) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream,
    ):
        yield AreaTable(csv.writer(stream), classes)


def count_pixels(labels: NDArray[Any], num_classes: int) -> NDArray[np.int64]:
    """int64[C]: pixels of each class in integer[H, W] labels in [0, C)."""
    return np.bincount(labels.reshape(-1), minlength=num_classes).astype(np.int64)
