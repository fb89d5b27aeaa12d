"""Label images of any size in tiles, one image after the other; neither it nor its labels are in memory whole."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import DataError, ImageError, RunnerError, ShapeError
from fcn_deploy.prediction.image_states import FinishedImage
from fcn_deploy.prediction.images.lazy_images import LazyImage, iterate_images
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.inference import labels_function
from fcn_deploy.prediction.report import count_pixels
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.checks.labels import check_labels
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.tiling.plan import Plan, plan_for_runner, plan_tiles, smallest_tile
from fcn_deploy.tiling.receptive_field.compute import ReceptiveField
from fcn_deploy.tiling.run import label_bands, measure_disagreement
from fcn_deploy.tiling.windows import ArrayWindows, ImageWindows, open_windows
from fcn_deploy.tiling.writing import write_bands
from fcn_deploy.vocabulary import shape_text

if TYPE_CHECKING:
    from fcn_deploy.prediction.image_io import ImageIO


@dataclass(frozen=True)
class Tiling:
    """How images are cut: windows of at most `tile` pixels per side; `halo` replaces the one that exact labels need."""

    tile: int
    halo: int | None = None


@dataclass
class TiledLabeller:
    """A runner that labels images in tiles.

    Attributes:
        batch: tiles of one inference.
        notes: lines on the plans so far, each once: the overhead, and what is not exact.
    """

    runner: Runner
    receptive_field: ReceptiveField
    tiling: Tiling
    batch: int = 1
    progress: Progress = SILENT
    notes: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def label(self, sources: Iterable[ImageSource], image_io: ImageIO) -> Generator[FinishedImage, None, None]:
        """Write the label map of every image, in order; one that cannot be used is finished with its error."""
        numbers = count()
        for source in sources:
            for item in iterate_images([source]):
                yield self._label_one(None if source.is_video else source, item, next(numbers), image_io)

    def _label_one(self, source: ImageSource | None, item: LazyImage, index: int, image_io: ImageIO) -> FinishedImage:
        try:
            if image_io.skip and image_io.outputs.exist(item.name):
                return FinishedImage(index, item.name, image_io.count_existing(item)[0], skipped=True)
            if source is None:
                return FinishedImage(index, item.name, self._write(ArrayWindows(item.load()), item, image_io))
            with source.local() as path:
                return FinishedImage(index, item.name, self._write(open_windows(path), item, image_io))
        except (DataError, ShapeError, RunnerError) as error:
            return FinishedImage(index, item.name, error=error)
        except MemoryError:
            return FinishedImage(
                index, item.name, error=ImageError(f"{item.name} needs more memory than there is; lower --tile")
            )

    def _write(self, image: ImageWindows, item: LazyImage, image_io: ImageIO) -> NDArray[np.int64] | None:
        """Label and write one image; return its pixels of each class, if they are counted."""
        plan = plan_for_runner(
            self.receptive_field,
            image.height,
            image.width,
            self.tiling.tile,
            self.runner.accepts,
            halo=self.tiling.halo,
        )
        total = np.zeros(image_io.num_classes, np.int64)
        bands = self._check_and_count(
            label_bands(labels_function(self.runner), image, plan, self.progress, batch=self.batch), image_io, total
        )
        note = self._note(image, plan)
        with image_io.outputs.staged(item.name) as outputs:
            write_bands(
                bands, outputs.label_path(item.name), (image.height, image.width),
                format=outputs.format, palette=outputs.palette,
            )  # fmt: skip
        if note and self.tiling.halo is not None and not plan.exact:
            self._add_note(f"{note}: {self._measured(image, plan)}")
        return total if image_io.count else None

    def _check_and_count(
        self, bands: Iterator[NDArray[Any]], image_io: ImageIO, total: NDArray[np.int64]
    ) -> Iterator[NDArray[Any]]:
        """Yield the bands after checking their labels; add their pixels to `total` if they are counted."""
        for band in bands:
            if image_io.num_classes:
                check_labels("the model", band, image_io.num_classes)
            if image_io.count:
                total += count_pixels(band, image_io.num_classes)
            yield band

    def _note(self, image: ImageWindows, plan: Plan) -> str:
        """Report once per size how images are cut; return the size, or "" if it was reported before."""
        sides, window = f"{image.height}x{image.width}", shape_text(plan.shape)
        if sides in self._seen:
            return ""
        self._seen.add(sides)
        tiles = f"{plan.windows} tiles" if plan.windows > 1 else "one tile"
        ending = "labels as of the whole image" if plan.exact else plan.remark
        self._add_note(f"{sides}: {tiles} of {window}, {plan.overhead:.2f} times the image's pixels; {ending}")
        return sides

    def _add_note(self, note: str) -> None:
        self.notes.append(note)
        self.progress.say(note)

    def _measured(self, image: ImageWindows, plan: Plan) -> str:
        tile = max(self.tiling.tile, smallest_tile(self.receptive_field))
        exact = plan_tiles(self.receptive_field, image.height, image.width, tile)
        return str(measure_disagreement(labels_function(self.runner), image, plan, exact, progress=self.progress))
