"""What happens to one image before and after the inference, and the stages around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import DataError, ImageError, RunnerError
from fcn_deploy.prediction.areas import count_pixels
from fcn_deploy.prediction.images.lazy_images import Item
from fcn_deploy.prediction.inference import Lanes
from fcn_deploy.prediction.outputs import Outputs
from fcn_deploy.prediction.pipeline import Bounds, Ended, Labelled, Loaded, ahead, batched, inferred
from fcn_deploy.runners.base import check_labels


@dataclass(frozen=True)
class ImageIO:
    """What the threads do with an image before and after the inference.

    Attributes:
        num_classes: C; 0 where it is not known.
        count: whether each image's pixels are counted, also of results that are there already.
        skip: whether images whose results are there are left out.
    """

    outputs: Outputs
    num_classes: int
    count: bool = False
    skip: bool = False

    def load(self, item: Item) -> Loaded | Ended:
        """Decode an image; one whose results are there, or that cannot be used, has ended."""
        try:
            if self.skip and self.outputs.exist(item.name):
                return Ended(item.index, item.name, self.count_existing(item), skipped=True)
            return Loaded(item.index, item.name, item.load())
        except DataError as error:
            return Ended(item.index, item.name, error=error)
        except MemoryError:
            refused = ImageError(f"{item.name} needs more memory than there is; cut it into tiles first")
            return Ended(item.index, item.name, error=refused)

    def write(self, value: Labelled | Ended) -> Ended:
        """Write an image's results; OutputError if that fails."""
        if isinstance(value, Ended):
            return value
        loaded, labels = value.loaded, value.labels
        try:
            if self.num_classes:
                check_labels("the model", labels, self.num_classes)
        except RunnerError as error:
            return Ended(loaded.index, loaded.name, error=error)
        self.outputs.write(loaded.name, loaded.image, labels)
        return Ended(loaded.index, loaded.name, self._count(labels))

    def _count(self, labels: NDArray[Any]) -> NDArray[np.int64] | None:
        return count_pixels(labels, self.num_classes) if self.count else None

    def count_existing(self, item: Item) -> NDArray[np.int64] | None:
        """The pixels of each class in a label map that is there already; None if they are not counted."""
        if not self.count:
            return None
        labels, path = self.outputs.read(item.name), self.outputs.label_path(item.name)
        try:
            check_labels(str(path), labels, self.num_classes)
        except RunnerError as error:
            raise DataError(f"{error}: it is another model's; remove it, or leave --skip-existing out") from error
        return self._count(labels)


def label_images(
    work: Iterable[Item], job: ImageIO, lanes: Lanes, batch: int, bounds: Bounds, workers: int
) -> Iterator[Ended]:
    """Each image's end, as it comes; at most `bounds.images` are held decoded."""
    with ThreadPoolExecutor(workers, thread_name_prefix="image") as pool:
        loaded = ahead(pool, job.load, work, bounds.decoded)
        labelled = inferred(batched(loaded, batch, bounds.grouped), lanes)
        yield from ahead(pool, job.write, labelled, bounds.written)
