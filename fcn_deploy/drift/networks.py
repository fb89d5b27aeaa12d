"""Open an INT8 file, and the FP32 file that it was made from, so that their tensors and labels can be counted."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.audit.arithmetic import has_quantisation
from fcn_deploy.card import ModelCard, numbered_classes
from fcn_deploy.data.options import check_same_classes
from fcn_deploy.drift.observe import JoinedNetwork, NamedImage, TappedNetwork, observe
from fcn_deploy.drift.quantised_ranges import load_quantised
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.graph.simplify import name_nodes, simplify
from fcn_deploy.prediction.report import Failure
from fcn_deploy.quantization.calibration.cache import graph_digest
from fcn_deploy.quantization.calibration.image_profile import UNNAMED
from fcn_deploy.quantization.calibration.image_statistics import ImageStatistics, Range
from fcn_deploy.quantization.rewrites.equalize import EQUALIZED
from fcn_deploy.runners.base import Runner
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import Progress


@dataclass(frozen=True)
class Networks:
    """The files, open: `network` shows its tensors, `other` runs the INT8 file where `network` is the FP32 file.

    Attributes:
        graph: digest of the FP32 file and its external data, as calibration caches have it; "" without one.
    """

    model: Path
    reference: Path | None
    card: ModelCard | None
    ranges: dict[str, Range]
    network: TappedNetwork | JoinedNetwork
    other: Runner | None
    graph: str = ""

    @property
    def equalized(self) -> bool:
        """Whether channels of a quantised tensor were equalised, so that the FP32 file has no such tensor."""
        return any(map(_is_equalized, self.ranges))

    @property
    def classes(self) -> tuple[str, ...]:
        return numbered_classes(UNNAMED) if self.card is None else self.card.classes

    def observe(
        self,
        images: Iterable[NamedImage],
        total: int | None,
        progress: Progress,
        *,
        margin: float | None = None,
        radius: int = 3,
        description: str = "watching",
    ) -> tuple[ImageStatistics, tuple[Failure, ...]]:
        """Run and count `images`; see `observe.observe`."""
        return observe(
            images,
            total,
            self.ranges,
            self.network,
            self.other,
            progress,
            num_classes=len(self.classes),
            margin=margin,
            radius=radius,
            description=description,
        )


def open_networks(
    path: Path,
    reference: StrPath | None,
    runner: str | None,
    threads: int | None,
    stack: ExitStack,
    progress: Progress,
) -> Networks:
    """Open the INT8 file at `path`, and the reference where there is one; `stack` closes them.

    Raises:
        GraphError: nothing in the file is quantised, or the reference is.
        DataError: the reference has other classes.
        RunnerError: `runner` cannot be opened.
    """
    graph, ranges = load_quantised(path)
    card = find_card(graph, path)
    if reference is None:
        network = TappedNetwork(path, graph, card, tuple(ranges), stack, threads=threads)
        return Networks(path, None, card, ranges, network, None)
    source = stack.enter_context(ModelSource(reference, progress))
    file = source.onnx_file()
    wide, own = _reference_graph(file, source.text)
    if card is not None and own is not None:
        check_same_classes(str(path), card, source.text, own)
    shared = tuple(name for name in ranges if not _is_equalized(name))
    full = TappedNetwork(file, wide, own, shared, stack, threads=threads, margins=True)
    shown: TappedNetwork | JoinedNetwork = full
    if len(shared) < len(ranges):
        equalized = tuple(filter(_is_equalized, ranges))
        shown = JoinedNetwork(full, TappedNetwork(path, graph, card, equalized, stack, threads=threads))
    opened = stack.enter_context(ModelSource(path, progress))
    other = stack.enter_context(opened.open(runner or opened.default_runner, threads=threads))
    return Networks(path, Path(source.text), card or own, ranges, shown, other, graph_digest(file, wide))


def _is_equalized(name: str) -> bool:
    return name.endswith(EQUALIZED)


def _reference_graph(path: Path, text: str) -> tuple[ir.Model, ModelCard | None]:
    model = load_graph(path)
    simplify(model)
    name_nodes(model)
    if has_quantisation(model):
        raise GraphError(
            f"{text} is quantised itself; give the FP32 file that the INT8 file was made from (--reference)"
        )
    return model, find_card(model, path)
