"""The images that went by, kept for the timing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.benchmark.batches import check_bytes
from fcn_deploy.data.dataset import Sample
from fcn_deploy.system.progress import Task

POOL_BYTES = 256 << 20


@dataclass
class Pool:
    """What went by: how many samples, of which sizes, and the first images for the timing, up to 256 MiB.

    Attributes:
        batch: images an inference, when they are timed.
        keeps: whether images are kept at all.
        images: uint8[H, W, 3] each.
        sizes: how many images of each (H, W).
    """

    batch: int = 1
    keeps: bool = True
    images: list[NDArray[np.uint8]] = field(default_factory=list)
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    seen: int = 0
    labelled: int = 0
    _bytes: int = 0

    def watch(self, samples: Iterable[Sample], task: Task, check: Callable[[], None]) -> Iterator[Sample]:
        """The same samples, counted; after each one `task` advances and `check` may raise.

        Raises:
            DataError: batches of an image's size would not fit into memory; said now, not after the comparison.
        """
        for sample in samples:
            check_bytes([sample.image], self.batch)
            self.seen += 1
            self.labelled += sample.label is not None
            height, width = sample.image.shape[:2]
            self.sizes[height, width] = self.sizes.get((height, width), 0) + 1
            if self.keeps and (not self.images or self._bytes + sample.image.nbytes <= POOL_BYTES):
                self.images.append(sample.image)
                self._bytes += sample.image.nbytes
            yield sample
            task.advance()
            check()
