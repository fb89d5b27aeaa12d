"""Run images through the INT8 file, and through the FP32 file where there is one, and count what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import DataError, RunnerError, ShapeError, first_line
from fcn_deploy.graph.card_fit import scores_behind
from fcn_deploy.graph.ports import GraphIO, graph_io_of
from fcn_deploy.graph.subgraph import Subgraph, extract_subgraph
from fcn_deploy.metrics.agreement import logit_margin
from fcn_deploy.prediction.image_states import FinishedImage
from fcn_deploy.prediction.report import Failure, RunCounts
from fcn_deploy.quantization.calibration.image_statistics import ImageStatistics, Range, StatisticsCollector
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.checks.labels import check_labels, size_trouble
from fcn_deploy.system.progress import Progress, track
from fcn_deploy.system.scratch import scratch_folder
from fcn_deploy.vocabulary import INPUT, LABELS


@dataclass(frozen=True)
class NamedImage:
    """An image that is decoded when it is needed; `load` gives uint8[H, W, 3], or DataError."""

    name: str
    load: Callable[[], NDArray[np.uint8]]


@dataclass(frozen=True)
class Seen:
    """What one network gave for one image: its tensors by name, integer[H, W] labels, float[H, W] margins or None."""

    tensors: dict[str, NDArray[Any]]
    labels: NDArray[Any]
    margins: NDArray[Any] | None


class TappedNetwork:
    """An ONNX file in ONNX Runtime that hands out inner tensors with its labels."""

    def __init__(
        self,
        path: Path,
        model: ir.Model,
        card: ModelCard | None,
        tensors: Sequence[str],
        stack: ExitStack,
        *,
        threads: int | None = None,
        margins: bool = False,
    ) -> None:
        """Open the part of `model` that gives `tensors`, which are names of its values, and the labels.

        Args:
            path: where the model was read, for messages.
            margins: whether margins are taken as well, where the graph has logits.

        Raises:
            GraphError: it has no such tensor, or its inputs and outputs are not those of a segmentation network.
        """
        self._path, self._io, self._card = path, graph_io_of(model, str(path), card), card
        self._tensors = tuple(tensors)
        self._logits = _logits_tensor(model, self._io) if margins or self._io.labels is None else None
        self._margins = margins
        outputs = [name for name in (self._io.labels, self._logits) if name is not None]
        wanted = [name for name in dict.fromkeys((*tensors, *outputs)) if name != self._io.image]
        folder = stack.enter_context(scratch_folder())
        self._part = Subgraph(extract_subgraph(model, [self._io.image], wanted), Path(folder), threads=threads)

    def run(self, image: NDArray[np.uint8]) -> Seen:
        """Run uint8[H, W, 3]; ShapeError if the network does not take it."""
        given = {self._io.image: self._io.prepare(image[None])}
        try:
            made = given | self._part.run(given)
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            reason = size_trouble((1, *image.shape[:2]), None, self._card) or first_line(error)
            raise ShapeError(f"{self._path} does not run on it: {reason}") from error
        logits = None if self._logits is None else made[self._logits]
        labels = logits.argmax(1) if self._io.labels is None and logits is not None else made[self._io.labels or ""]
        margins = (
            logit_margin(logits.astype(np.float32, copy=False))[0] if self._margins and logits is not None else None
        )
        return Seen({name: made[name] for name in self._tensors}, labels[0].astype(np.int64), margins)


@dataclass(frozen=True)
class JoinedNetwork:
    """An FP32 file, and the INT8 file made from it, which alone has the tensors whose channels were equalised.

    Equalised tensors are those of `quantised`, so the later ones are of inputs that were clipped already; all else is
    FP32's.
    """

    wide: TappedNetwork
    quantised: TappedNetwork

    def run(self, image: NDArray[np.uint8]) -> Seen:
        """Run uint8[H, W, 3]; ShapeError if a network does not take it."""
        seen = self.wide.run(image)
        return replace(seen, tensors={**self.quantised.run(image).tensors, **seen.tensors})


def observe(
    images: Iterable[NamedImage],
    total: int | None,
    ranges: dict[str, Range],
    network: TappedNetwork | JoinedNetwork,
    other: Runner | None,
    progress: Progress,
    *,
    num_classes: int,
    margin: float | None = None,
    radius: int = 3,
    description: str = "watching",
) -> tuple[ImageStatistics, tuple[Failure, ...]]:
    """Return the counts of `images`, and the images that could not be used.

    Args:
        total: how many images will come, for the progress bar.
        ranges: the quantised tensors, as `network` names them.
        network: whose tensors and labels are counted.
        other: a runner of the INT8 file, where `network` is FP32: the labels that it gives otherwise are counted.
        margin: see `StatisticsCollector`.

    Raises:
        DataError: none of them can be used.
        RunnerError: a runner fails for several in a row, or gives a label that is no class.
    """
    found, counts = StatisticsCollector(ranges, num_classes, margin, radius), RunCounts()
    for index, image in enumerate(track(progress, description, images, total)):
        error: DataError | ShapeError | RunnerError | None = None
        try:
            _add(found, image.load(), network, other)
        except (DataError, ShapeError, RunnerError) as caught:
            error = caught
        counts.add(FinishedImage(index, PurePosixPath(image.name), error=error))
    counts.check()
    return found.result(), tuple(counts.failures)


def _add(
    found: StatisticsCollector, image: NDArray[np.uint8], network: TappedNetwork | JoinedNetwork, other: Runner | None
) -> None:
    """Count one image once everything that can fail has run."""
    seen = network.run(image)
    check_labels("the network", seen.labels, found.num_classes)
    labels = None if other is None else other.infer({INPUT: image[None]})[LABELS][0]
    if labels is not None:
        check_labels("the INT8 file", labels, found.num_classes)
    found.add(image, seen.tensors, seen.labels)
    if labels is not None:
        found.add_changes(seen.labels, labels.astype(np.int64), seen.margins)


def _logits_tensor(model: ir.Model, io: GraphIO) -> str | None:
    """Return the output of logits, else the tensor whose arg max the labels are; None where there is no such one."""
    if io.logits is not None:
        return io.logits
    values = ir.convenience.create_value_mapping(model.graph)
    scores = None if io.labels is None else scores_behind(values[io.labels])
    return None if scores is None else str(scores.name)
