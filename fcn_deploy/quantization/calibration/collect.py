"""Collect statistics of a graph's tensors on calibration images: measured, or read from a cache that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import OutputError
from fcn_deploy.graph.float_layers import convolutions
from fcn_deploy.graph.ports import graph_io_of
from fcn_deploy.quantization.calibration.cache import cache_key, read_cache, write_cache
from fcn_deploy.quantization.calibration.image_profile import UNNAMED, ProfileCollector
from fcn_deploy.quantization.calibration.images import CalibrationSet
from fcn_deploy.quantization.calibration.measure import TensorStatistics, calibrate, network_tensors
from fcn_deploy.system.progress import SILENT, Progress


@dataclass(frozen=True)
class TensorSelection:
    """Tensors to collect statistics of.

    Attributes:
        histograms: whose distribution is needed.
        extremes: of which the largest magnitude is enough.
    """

    histograms: Sequence[str]
    extremes: Sequence[str] = ()

    def missing_from(self, seen: TensorStatistics | None) -> TensorSelection:
        """Return what of it `seen` lacks."""
        if seen is None:
            return self
        histograms = [name for name in self.histograms if name not in seen.histograms]
        return TensorSelection(histograms, [name for name in self.extremes if name not in seen.largest])

    def __bool__(self) -> bool:
        return bool(self.histograms or self.extremes)


@dataclass(frozen=True)
class CacheUse:
    """How a cache was used.

    Attributes:
        taken, measured: tensors found in it, and tensors for which the graph was run.
        reason: why it could not be used unchanged; empty if it could, or if there was none.
    """

    path: Path
    taken: int
    measured: int
    reason: str = ""


@dataclass(frozen=True)
class CalibrationFiles:
    """The files of a calibration.

    Attributes:
        graph: the FP32 file, which is run.
        original: the file whose channels were equalised in `graph`; `graph` itself where none were.
        cache: where measurements are looked for and kept; a file that is something else is left alone.
    """

    graph: Path
    original: Path
    cache: Path | None = None


def collect_statistics(
    files: CalibrationFiles,
    model: ir.Model,
    card: ModelCard | None,
    images: CalibrationSet,
    wanted: TensorSelection,
    *,
    progress: Progress = SILENT,
) -> tuple[TensorStatistics, CacheUse | None]:
    """Return distributions of `wanted` on the images.

    With a cache every tensor is measured that any precision, target or choice of nodes would need, and what `watch`
    compares of each image: 5 % more time and no more memory for a full-width FCN-8s.

    Args:
        model: the graph of the file that is run, loaded, its batch norms folded.

    Raises:
        DataError, GraphError: as for `calibrate`.
    """
    source, cache = files.graph, files.cache
    if cache is None:
        return _measure(source, model, card, images, wanted, progress), None
    key = cache_key(source, images.coverage.frames.digests, files.original)
    found = read_cache(cache, key)
    seen, reason = found.calibration, found.reason
    missing = all_tensors(model, wanted).missing_from(seen) if wanted.missing_from(seen) else TensorSelection(())
    if found.reason:
        left = "" if found.ours else "; it is left as it is, give another file (--calib-cache)"
        progress.say(f"{cache} {found.reason}: the images are run again{left}")
    taken = 0 if seen is None else len(seen.largest)
    if seen is not None and seen.profile is None:
        reason = "lacks what `fcn-deploy watch` compares of each image"
        progress.say(f"{cache} {reason}: the images are run again")
    if missing or seen is None or seen.profile is None:
        measured = _measure(source, model, card, images, missing, progress, profile=True)
        seen = measured if seen is None else seen.merge(measured)
        if found.ours:
            try:
                write_cache(cache, key, seen)
            except OutputError as error:  # what was measured is not lost
                progress.say(f"{error}; the calibration is not kept")
    use = CacheUse(cache, taken, len({*missing.histograms, *missing.extremes}), reason)
    return seen.only(wanted.histograms, wanted.extremes), use


def all_tensors(model: ir.Model, wanted: TensorSelection) -> TensorSelection:
    """Return `wanted`, and all else that another rewrite of this graph could ask for."""
    inputs = [str(node.inputs[0].name) for node in convolutions(model) if node.inputs[0] is not None]
    extremes = [*wanted.extremes, *network_tensors(model)]
    return TensorSelection(list(dict.fromkeys([*wanted.histograms, *inputs])), list(dict.fromkeys(extremes)))


def _measure(
    source: Path,
    model: ir.Model,
    card: ModelCard | None,
    images: CalibrationSet,
    wanted: TensorSelection,
    progress: Progress,
    *,
    profile: bool = False,
) -> TensorStatistics:
    """Run the FP32 file on the images; with `profile` their looks and classes are kept as well."""
    io = graph_io_of(model, str(source), card)
    classes = UNNAMED if card is None else card.num_classes
    collector = ProfileCollector(classes, io.labels or io.logits or "") if profile else None
    return calibrate(
        source,
        images.feeds(io, collector),
        histograms=wanted.histograms,
        extremes=wanted.extremes,
        profile=collector,
        total=len(images.coverage.frames.names),
        progress=progress,
    )
