"""Images of any size, one after the other, in tiles: neither the image as an array nor its labels are ever whole."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import DataError, ImageError, RunnerError, ShapeError
from fcn_deploy.prediction.areas import count_pixels
from fcn_deploy.prediction.images.lazy_images import Item, items
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.inference import infer_of
from fcn_deploy.prediction.pipeline import Ended
from fcn_deploy.runners.base import Runner, check_labels
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.tiling.disagreement import measure
from fcn_deploy.tiling.plan import Plan, plan_held, plan_tiles, smallest_tile
from fcn_deploy.tiling.receptive_field.compute import ReceptiveField
from fcn_deploy.tiling.run import bands_of
from fcn_deploy.tiling.windows import ArrayWindows, ImageWindows, open_windows
from fcn_deploy.tiling.writing import write_bands
from fcn_deploy.vocabulary import shape_text

if TYPE_CHECKING:
    from fcn_deploy.prediction.image_io import ImageIO


@dataclass(frozen=True)
class Tiling:
    """How images are cut: windows of at most `tile` pixels a side; `halo` in place of the one that exactness takes."""

    tile: int
    halo: int | None = None


@dataclass
class Tiled:
    """What labels images in tiles.

    Attributes:
        batch: tiles of one inference.
        notes: lines on the plans so far, each once: the overhead, and what is not exact.
    """

    runner: Runner
    reach: ReceptiveField
    tiling: Tiling
    batch: int = 1
    progress: Progress = SILENT
    notes: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def label(self, sources: Iterable[ImageSource], job: ImageIO) -> Generator[Ended, None, None]:
        """Write the label map of every image, in order; one that cannot be used ends with its error."""
        numbers = count()
        for source in sources:
            for item in items([source]):
                yield self._one(None if source.is_video else source, item, next(numbers), job)

    def _one(self, source: ImageSource | None, item: Item, index: int, job: ImageIO) -> Ended:
        try:
            if job.skip and job.outputs.exist(item.name):
                return Ended(index, item.name, job.count_existing(item), skipped=True)
            if source is None:
                return Ended(index, item.name, self._write(ArrayWindows(item.load()), item, job))
            with source.local() as path:
                return Ended(index, item.name, self._write(open_windows(path), item, job))
        except (DataError, ShapeError, RunnerError) as error:
            return Ended(index, item.name, error=error)
        except MemoryError:
            return Ended(
                index, item.name, error=ImageError(f"{item.name} needs more memory than there is; lower --tile")
            )

    def _write(self, image: ImageWindows, item: Item, job: ImageIO) -> NDArray[np.int64] | None:
        """Label and write one image; its pixels of each class, if they are counted."""
        plan = plan_held(
            self.reach, image.height, image.width, self.tiling.tile, self.runner.accepts, halo=self.tiling.halo
        )
        total = np.zeros(job.num_classes, np.int64)
        bands = self._checked(bands_of(infer_of(self.runner), image, plan, self.progress, batch=self.batch), job, total)
        note = self._note(image, plan)
        with job.outputs.staged(item.name) as outputs:
            write_bands(
                bands, outputs.label_path(item.name), (image.height, image.width),
                format=outputs.format, palette=outputs.palette,
            )  # fmt: skip
        if note and self.tiling.halo is not None and not plan.exact:
            self._add(f"{note}: {self._measured(image, plan)}")
        return total if job.count else None

    def _checked(self, bands: Iterator[NDArray[Any]], job: ImageIO, total: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """The bands themselves; `total` grows by their pixels where they are counted."""
        for band in bands:
            if job.num_classes:
                check_labels("the model", band, job.num_classes)
            if job.count:
                total += count_pixels(band, job.num_classes)
            yield band

    def _note(self, image: ImageWindows, plan: Plan) -> str:
        """Say how images of this size are cut, before the first of them; gives the line's beginning, or "" later."""
        sides, window = f"{image.height}x{image.width}", shape_text(plan.shape)
        if sides in self._seen:
            return ""
        self._seen.add(sides)
        tiles = f"{plan.windows} tiles" if plan.windows > 1 else "one tile"
        ending = "labels as of the whole image" if plan.exact else plan.remark
        self._add(f"{sides}: {tiles} of {window}, {plan.overhead:.2f} times the image's pixels; {ending}")
        return sides

    def _add(self, note: str) -> None:
        self.notes.append(note)
        self.progress.say(note)

    def _measured(self, image: ImageWindows, plan: Plan) -> str:
        tile = max(self.tiling.tile, smallest_tile(self.reach))
        exact = plan_tiles(self.reach, image.height, image.width, tile)
        return str(measure(infer_of(self.runner), image, plan, exact, progress=self.progress))
