"""From images to files of labels: decoding, inference and writing overlap, and memory does not grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ImageError, OutputError, RunnerError
from ..files import check_writable
from ..interrupt import interrupts
from ..progress import SILENT, Progress
from ..runners.base import Runner, check_labels
from ..runners.threads import usable_cores
from ..spec import ModelCard, voc_palette
from ..tiling.field import field_of
from .areas import area_table, count_pixels
from .inference import Lanes, ThreadLanes, lanes_of, one_by_one
from .items import Item, count_items, items
from .leftovers import remove_leftovers
from .opening import open_runners
from .outputs import SUFFIX, Format, Outputs
from .pipeline import Bounds, Ended, Labelled, Loaded, ahead, batched, in_order, inferred
from .sources import Source, find_sources
from .tally import PredictReport, Tally
from .tiled import Tiled, Tiling

MOST_WORKERS = 16
WAITING = 2  # threads more than cores: writing waits for the disk more than it computes

# One image uint8[H, W, 3] to labels [H, W].
Segment = Callable[[NDArray[np.uint8]], NDArray[Any]]


@dataclass(frozen=True)
class PredictOptions:
    """What to run on which images, and what to leave.

    Attributes:
        model: an engine, an .onnx file, a checkpoint, a recipe or "demo".
        images: files, folders, globs, lists, videos or "-", as `find_sources` takes them.
        target: the folder of results, or for one image the label map (told by its suffix).
        overlay: how much of an overlay is the labels' colour, 0..1; None for no overlays.
        areas: the CSV file of each class's pixels in each image.
        skip_existing: leave out images whose results are there.
        keep_suffix: "a.jpg" becomes "a.jpg.png" and not "a.png".
        batch: images of one shape in one inference, at most.
        runner, threads, lanes, checkpoint_model: as in `open_runners`.
        tiling: how images are cut into tiles, of which `batch` are one inference; None runs them whole.
        workers: threads that decode and write; None for two more than cores, 16 at most.
    """

    model: str
    images: tuple[str, ...]
    target: Path
    format: Format = "indexed"
    overlay: float | None = None
    areas: Path | None = None
    skip_existing: bool = False
    keep_suffix: bool = False
    batch: int = 1
    runner: str | None = None
    threads: int | None = None
    lanes: int | None = None
    checkpoint_model: str | None = None
    workers: int | None = None
    tiling: Tiling | None = None


def predict(
    options: PredictOptions,
    *,
    segmenter: Callable[[Runner], Segment] | None = None,
    stdin: IO[bytes] | None = None,
    progress: Progress = SILENT,
) -> PredictReport:
    """Label every image and write the results; an image that cannot be used stops nothing and is in the report.

    Args:
        segmenter: makes of a runner what labels one image (in tiles, say) in place of whole batches.
        stdin: where "-" reads the paths.

    Raises:
        DataError: there are no images, none of them can be used, or two would share a result.
        OutputError: a result cannot be written; what was written before is whole and stays.
        RunnerError: the model cannot be opened, or fails for one image after the other.
        CheckpointError, GraphError, EngineError, ExportError: the model cannot be read.
    """
    single = options.target.suffix.lower() == SUFFIX[options.format] and not options.target.is_dir()
    sources = find_sources(options.images, leave_out=None if single else options.target, stdin=stdin)
    if single and (len(sources) > 1 or sources[0].is_video):
        raise OutputError(f"{options.target} is one file, and there are {len(sources)} sources; give a folder (-o)")
    check_writable(options.target if single else options.target / "results")
    with ExitStack() as stack:
        runners = open_runners(
            options.model, stack, runner=options.runner, model=options.checkpoint_model,
            threads=options.threads, lanes=options.lanes if options.tiling is None else 1, progress=progress,
        )  # fmt: skip
        outputs = _outputs(options, runners[0].card, single)
        tiled = _tiled(options, runners[0], progress)
        outputs.check_names(sources)
        if options.skip_existing:
            remove_leftovers(options.target)
        lanes = lanes_of(runners)
        if segmenter is not None:
            lanes = ThreadLanes([one_by_one(segmenter(runner)) for runner in runners])
        stack.enter_context(lanes)
        return _run(options, sources, outputs, lanes, runners[0], tiled, progress)


def _tiled(options: PredictOptions, runner: Runner, progress: Progress) -> Tiled | None:
    if options.tiling is None:
        return None
    if options.overlay is not None:
        raise OutputError("an overlay needs the whole image in memory; leave --overlay or --tile out")
    reach = field_of(options.model, runner.card, progress)
    return Tiled(runner, reach, options.tiling, options.batch, progress)


def _outputs(options: PredictOptions, card: ModelCard | None, single: bool) -> Outputs:
    if card is not None and card.wide_labels and options.format == "indexed":
        raise OutputError(f"an indexed PNG holds 256 classes and the model has {card.num_classes}; use --format raw")
    palette = voc_palette(256) if card is None else card.palette
    return Outputs(options.target, options.format, palette, options.overlay, options.keep_suffix, single)


def _run(
    options: PredictOptions,
    sources: list[Source],
    outputs: Outputs,
    lanes: Lanes,
    runner: Runner,
    tiled: Tiled | None,
    progress: Progress,
) -> PredictReport:
    if options.areas is not None and runner.card is None:
        raise OutputError(f"{options.model} holds no model card, so its classes are not known; leave --areas out")
    classes = () if runner.card is None else runner.card.classes
    tally = Tally()
    job = Job(outputs, len(classes), options.areas is not None, options.skip_existing)
    with ExitStack() as stack:
        table = None if options.areas is None else stack.enter_context(area_table(options.areas, classes))
        bar = progress if tiled is None else SILENT  # tiles have a bar of their own
        task = stack.enter_context(bar.task("predicting", count_items(sources)))
        check = stack.enter_context(interrupts())
        workers = options.workers or min(usable_cores() + WAITING, MOST_WORKERS)
        bounds = Bounds.of(workers, options.batch, lanes.slots)
        whole = in_order(label_images(items(sources), job, lanes, options.batch, bounds, workers), _index)
        done = whole if tiled is None else tiled.label(sources, job)
        for ended in stack.enter_context(closing(done)):
            tally.add(ended)
            if table is not None:
                table.add(ended)
            task.advance(note=f"{tally.rate():.1f} images/s")
            check()
        tally.check()
    notes = runner.notes if tiled is None else (*runner.notes, *tiled.notes)
    return tally.report(options, runner.name, classes, outputs, None if table is None else table.total, notes)


def _index(ended: Ended) -> int:
    return ended.index


@dataclass(frozen=True)
class Job:
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
        labels = self.outputs.read(item.name)
        check_labels(str(self.outputs.label_path(item.name)), labels, self.num_classes)
        return self._count(labels)


def label_images(
    work: Iterable[Item], job: Job, lanes: Lanes, batch: int, bounds: Bounds, workers: int
) -> Iterator[Ended]:
    """Each image's end, as it comes; at most `bounds.images` are held decoded."""
    with ThreadPoolExecutor(workers, thread_name_prefix="image") as pool:
        loaded = ahead(pool, job.load, work, bounds.decoded)
        labelled = inferred(batched(loaded, batch, bounds.grouped), lanes)
        yield from ahead(pool, job.write, labelled, bounds.written)
