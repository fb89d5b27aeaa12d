"""Open a model in this process, run it on images and write their labels."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard, voc_palette
from fcn_deploy.data.writing import MOST_LABEL
from fcn_deploy.errors import OutputError, first_line
from fcn_deploy.prediction.fastest import AUTO, open_fastest
from fcn_deploy.prediction.image_io import ImageIO, ImageThreads, ImageWorkers, label_images
from fcn_deploy.prediction.image_states import FinishedImage
from fcn_deploy.prediction.images.lazy_images import iterate_images
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.inference import open_lanes
from fcn_deploy.prediction.options import EXTRA_IO_THREADS, PredictOptions
from fcn_deploy.prediction.outputs import Outputs
from fcn_deploy.prediction.pipeline import Bounds, reorder
from fcn_deploy.prediction.stage_clock import StageClock
from fcn_deploy.prediction.tiled import TiledLabeller
from fcn_deploy.prediction.workers.pool import ImageProcesses
from fcn_deploy.runners.base import Runner
from fcn_deploy.sources.lanes import open_runners
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import resolved
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.process import usable_cores
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.tiling.receptive_field.compute import receptive_field_of

MAX_WORKERS = 16
# From this many cores on it pays to decode and write in processes. With fewer, Python's lock is free often enough.
ENOUGH_IMAGES, ENOUGH_CORES = 100, 4


class Labeller(Protocol):
    """The interface of what labels images and writes the results: this process, or a cluster."""

    @property
    def card(self) -> ModelCard | None:
        """The model's classes and palette; None where the file holds none."""

    @property
    def outputs(self) -> Outputs:
        """Where the results go."""

    @property
    def name(self) -> str:
        """Of the runner; "" before it is known."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the runner and the tiles, so far."""

    @property
    def clock(self) -> StageClock | None:
        """The time spent waiting for each stage; None where the stages do not overlap or run elsewhere."""

    def label(self, sources: Sequence[ImageSource]) -> Generator[FinishedImage, None, None]:
        """Write the results of every image; yield each when it is finished, in the order of `sources`."""

    def interruptible(self) -> AbstractContextManager[Callable[[], None]]:
        """Return a context that handles Ctrl-C; call the check that it yields between images."""


class LocalLabeller:
    """A model opened in this process, which `stack` closes."""

    def __init__(
        self,
        options: PredictOptions,
        stack: ExitStack,
        progress: Progress = SILENT,
        *,
        images: int = 0,
        sample: Callable[[], NDArray[np.uint8] | None] = lambda: None,
    ) -> None:
        """Open the model; errors as for `predict`.

        Args:
            images: how many there will be; for many, processes are started that decode and write them.
            sample: gives an image on which the fastest runner is found, where that is asked for.
        """
        self._workers = options.workers or min(usable_cores() + EXTRA_IO_THREADS, MAX_WORKERS)
        self._notes: tuple[str, ...] = ()
        self._processes = None
        if images >= ENOUGH_IMAGES and usable_cores() >= ENOUGH_CORES and options.tiling is None:
            self._processes = self._start_processes(stack)
        tensors = options.tensors
        source = stack.enter_context(
            ModelSource(options.model, progress, model=options.checkpoint_model, outputs=tensors)
        )
        lanes = options.lanes if options.tiling is None else 1
        if options.runner == AUTO:
            runners, chosen = open_fastest(source, stack, sample(), threads=options.threads, lanes=lanes)
            self._notes += chosen
        else:
            runners = open_runners(
                source, stack, runner=options.runner, threads=options.threads, lanes=lanes, engine=options.engine
            )
        self._runner, self._batch = runners[0], options.batch
        if self._runner.memory is not None:
            whole = options.tiling is None
            self._runner.memory.remedy = "cut the image into tiles (--tile 1024)" if whole else "lower --tile"
        self.card, self.name = self._runner.card, self._runner.name
        self.outputs = choose_outputs(options, self.card)
        self._tiled = _tiled_labeller(options, self._runner, progress)
        classes = 0 if self.card is None else self.card.num_classes
        self._image_io = ImageIO(self.outputs, classes, options.areas is not None, options.skip_existing)
        self._lanes = stack.enter_context(open_lanes(runners))
        self.clock = StageClock() if options.tiling is None else None

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._runner.notes, *self._notes, *(() if self._tiled is None else self._tiled.notes))

    def label(self, sources: Sequence[ImageSource]) -> Generator[FinishedImage, None, None]:
        if self._tiled is not None:
            return self._tiled.label(sources, self._image_io)
        assert self.clock is not None
        bounds = Bounds.of(self._workers, self._batch, self._lanes.slots)
        pool = self._open_workers(bounds, self.clock)
        finished = label_images(iterate_images(sources), pool, self._lanes, self._batch, bounds, self.clock)
        return reorder(finished, lambda value: value.index)

    def _start_processes(self, stack: ExitStack) -> ImageProcesses | None:
        """Start processes before the model is opened; None, and a note, where that is not possible."""
        try:
            processes = ImageProcesses(self._workers)
        except (OSError, AttributeError) as error:  # AttributeError: no memfd_create, so not Linux
            self._notes += _threads_instead(error)
            return None
        stack.callback(processes.close)
        return processes

    def _open_workers(self, bounds: Bounds, clock: StageClock) -> ImageWorkers:
        processes, self._processes = self._processes, None
        if processes is not None:
            try:
                processes.begin(self._image_io, bounds.images, clock)
            except OSError as error:
                processes.close()
                self._notes += _threads_instead(error)
            else:
                self._notes += (f"{self._workers} processes decode and write images",)
                return processes
        return ImageThreads(self._image_io, self._workers, clock)

    def interruptible(self) -> AbstractContextManager[Callable[[], None]]:
        return interrupts()


def _threads_instead(error: Exception) -> tuple[str, ...]:
    return (f"threads decode and write images, processes cannot ({first_line(error)})",)


def choose_outputs(options: PredictOptions, card: ModelCard | None) -> Outputs:
    """Return where the results of a model with `card` are written, and in which format.

    Raises:
        OutputError: the format does not hold the model's labels, areas are asked for and there are no classes, or
            overlays of tiles.
    """
    if card is not None and card.wide_labels and options.format == "indexed":
        raise OutputError(f"an indexed PNG holds 256 classes and the model has {card.num_classes}; use --format raw")
    if card is not None and card.num_classes > MOST_LABEL + 1 and options.format == "raw":
        raise OutputError(
            f"a PNG holds {MOST_LABEL + 1} classes and the model has {card.num_classes}; use --format npy"
        )
    if card is None and options.areas is not None:
        raise OutputError(
            f"{options.model} holds no model card, so its classes are not known; `fcn-deploy adopt` writes one"
        )
    if options.tiling is not None and options.overlay is not None:
        raise OutputError("an overlay needs the whole image in memory; leave --overlay or --tile out")
    target = options.target
    folder, storage = (target, None) if isinstance(target, Path) else (Path(), target)
    palette = voc_palette(256) if card is None else card.palette
    outputs = Outputs(
        folder,
        options.format,
        palette,
        options.overlay,
        options.keep_suffix,
        options.single,
        storage,
        options.confidence,
    )
    _check_confidence(options, outputs)
    return outputs


def _check_confidence(options: PredictOptions, outputs: Outputs) -> None:
    """Raise OutputError if the confidence of tiles is asked for, or a folder in which it cannot be."""
    if outputs.confidence is None:
        return
    if options.tiling is not None:
        raise OutputError("tiles are written without confidence; leave --confidence or --tile out")
    if outputs.storage is not None:
        raise OutputError("confidence is written to a folder of this machine, as the label maps must be then (-o)")
    paths = outputs.paths(PurePosixPath("image"))
    if resolved(paths[0]) == resolved(paths[-1]):
        raise OutputError(f"the label maps are written to {outputs.confidence} too; give --confidence another folder")


def _tiled_labeller(options: PredictOptions, runner: Runner, progress: Progress) -> TiledLabeller | None:
    if options.tiling is None:
        return None
    receptive_field = receptive_field_of(options.model, runner.card, progress)
    return TiledLabeller(runner, receptive_field, options.tiling, options.batch, progress)
