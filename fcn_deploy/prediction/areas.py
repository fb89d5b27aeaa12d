"""Count the pixels of each class in each image, and write them to a CSV table row by row."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.prediction.pipeline import FinishedImage
from fcn_deploy.system.files import atomic_path


class AreaTable:
    """Rows `image, pixels, CLASS, CLASS, ...`, one for each image that has results, in their order."""

    def __init__(self, writer: Any, classes: Sequence[str]) -> None:
        self._writer = writer
        writer.writerow(["image", "pixels", *classes])
        self.total: NDArray[np.int64] = np.zeros(len(classes), np.int64)

    def add(self, finished: FinishedImage) -> None:
        """Write a row for an image whose pixels were counted."""
        if finished.pixels is not None:
            self._writer.writerow([str(finished.name), int(finished.pixels.sum()), *finished.pixels.tolist()])
            self.total += finished.pixels


@contextmanager
def open_area_table(target: Path, classes: Sequence[str]) -> Iterator[AreaTable]:
    """Open a table that becomes the file `target` if the block succeeds; OutputError if it cannot be written."""
    # names of files need not be UTF-8; surrogateescape gives their bytes back
    with (
        atomic_path(target) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream,
    ):
        yield AreaTable(csv.writer(stream), classes)


def count_pixels(labels: NDArray[Any], num_classes: int) -> NDArray[np.int64]:
    """Return int64[C]: the pixels of each class in integer[H, W] labels in [0, C)."""
    return np.bincount(labels.reshape(-1), minlength=num_classes).astype(np.int64)
