"""From images to files of labels: decoding, inference and writing overlap, and memory does not grow."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..data.images import SUFFIXES
from ..errors import OutputError
from ..files import check_writable
from ..interrupt import interrupts
from ..progress import SILENT, Progress
from ..runners.base import Runner
from ..runners.threads import usable_cores
from ..spec import ModelCard, voc_palette
from ..tiling.field import field_of
from .areas import area_table
from .inference import Lanes, lanes_of
from .items import count_items, items
from .job import Job, label_images
from .leftovers import remove_leftovers
from .opening import open_runners
from .outputs import SUFFIX, Format, Outputs
from .pipeline import Bounds, Ended, in_order
from .sources import Source, find_sources
from .tally import PredictReport, Tally
from .tiled import Tiled, Tiling

MOST_WORKERS = 16
WAITING = 2  # threads more than cores: writing waits for the disk more than it computes


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
    stdin: IO[bytes] | None = None,
    progress: Progress = SILENT,
) -> PredictReport:
    """Label every image and write the results; an image that cannot be used stops nothing and is in the report.

    Args:
        stdin: where "-" reads the paths.

    Raises:
        DataError: there are no images, none of them can be used, or two would share a result.
        OutputError: a result cannot be written; what was written before is whole and stays.
        RunnerError: the model cannot be opened, or fails for one image after the other.
        CheckpointError, GraphError, EngineError, ExportError: the model cannot be read.
    """
    sources = _sources(options, stdin)
    with ExitStack() as stack:
        runners = open_runners(
            options.model, stack, runner=options.runner, model=options.checkpoint_model,
            threads=options.threads, lanes=options.lanes if options.tiling is None else 1, progress=progress,
        )  # fmt: skip
        outputs = _outputs(options, runners[0].card)
        tiled = _tiled(options, runners[0], progress)
        outputs.check_names(sources)
        if options.skip_existing:
            remove_leftovers(options.target)
        lanes = lanes_of(runners)
        stack.enter_context(lanes)
        return _run(options, sources, outputs, lanes, runners[0], tiled, progress)


def _sources(options: PredictOptions, stdin: IO[bytes] | None) -> list[Source]:
    """The sources, after a look at where their results will go."""
    single = _single(options)
    sources = find_sources(options.images, leave_out=None if single else options.target, stdin=stdin)
    if single and (len(sources) > 1 or sources[0].is_video):
        raise OutputError(f"{options.target} is one file, and there are {len(sources)} sources; give a folder (-o)")
    for target in (options.target if single else options.target / "results", options.areas):
        if target is not None:
            check_writable(target)
    return sources


def _single(options: PredictOptions) -> bool:
    """Whether the target is the label map itself: it is named like one and is no folder."""
    suffix, needed = options.target.suffix.lower(), SUFFIX[options.format]
    if suffix != needed and suffix in SUFFIXES | {*SUFFIX.values()} and not options.target.is_dir():
        raise OutputError(
            f"{options.target} is named like a file, and {options.format} label maps end in {needed}; give such a name "
            "or a folder's (-o)"
        )
    return suffix == needed and not options.target.is_dir()


def _tiled(options: PredictOptions, runner: Runner, progress: Progress) -> Tiled | None:
    if options.tiling is None:
        return None
    if options.overlay is not None:
        raise OutputError("an overlay needs the whole image in memory; leave --overlay or --tile out")
    reach = field_of(options.model, runner.card, progress)
    return Tiled(runner, reach, options.tiling, options.batch, progress)


def _outputs(options: PredictOptions, card: ModelCard | None) -> Outputs:
    if card is not None and card.wide_labels and options.format == "indexed":
        raise OutputError(f"an indexed PNG holds 256 classes and the model has {card.num_classes}; use --format raw")
    palette = voc_palette(256) if card is None else card.palette
    return Outputs(options.target, options.format, palette, options.overlay, options.keep_suffix, _single(options))


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
