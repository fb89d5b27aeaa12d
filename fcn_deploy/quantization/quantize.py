"""Rewrite an FP32 file to another precision: measure on images, decide, rewrite, check, and then name the file."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import onnx_ir as ir

from fcn_deploy.card import ModelCard
from fcn_deploy.data.digests import overlap
from fcn_deploy.data.options import DataOptions
from fcn_deploy.graph.float_layers import REQUESTED, SEARCHED
from fcn_deploy.graph.load import find_card
from fcn_deploy.graph.ports import graph_io_of
from fcn_deploy.graph.precheck.scan import scan
from fcn_deploy.graph.subgraph import copy_model
from fcn_deploy.graph.weights import save_graph
from fcn_deploy.quantization.calibration.cache import graph_digest
from fcn_deploy.quantization.calibration.collect import CalibrationFiles, TensorSelection, collect_statistics
from fcn_deploy.quantization.calibration.histogram import PERCENTILE
from fcn_deploy.quantization.calibration.images import CalibrationSet, calibration_options, open_checked
from fcn_deploy.quantization.calibration.measure import network_tensors
from fcn_deploy.quantization.check import check_rewritten
from fcn_deploy.quantization.equalized import EqualizedGraph, correct_measured_biases, equalized_graph
from fcn_deploy.quantization.note import note_precision
from fcn_deploy.quantization.options import QuantizeOptions, checked_options, layers_kept_in_float
from fcn_deploy.quantization.precision import choose_ranges, rewrite
from fcn_deploy.quantization.report import QuantizeReport
from fcn_deploy.quantization.rewrites.half_type import BF16, nodes_beyond_fp16, nodes_kept_in_fp32
from fcn_deploy.quantization.rewrites.int8 import load_rewritable
from fcn_deploy.quantization.rewrites.qdq import INT8, Range, quantised_tensors
from fcn_deploy.quantization.search.options import LOG_SUFFIX, SearchOptions
from fcn_deploy.quantization.search.result import SearchReport
from fcn_deploy.quantization.search.search import search_layers
from fcn_deploy.quantization.search.steps import SearchedNetwork, candidates
from fcn_deploy.system.arguments import checked
from fcn_deploy.system.files import StrPath, atomic_path
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.decode import at_least
from fcn_deploy.vocabulary import Method, QuantizedPrecision, Target

CHECKED_IMAGES = 5


@checked
def quantize(
    model: StrPath,
    output: StrPath,
    *,
    precision: QuantizedPrecision,
    calibration: StrPath | DataOptions | None = None,
    method: Method = "mse",
    percentile: Annotated[float, at_least(50, 100, "a number")] = PERCENTILE,
    calibration_cache: StrPath | None = None,
    target: Target = "tensorrt",
    keep: Sequence[str] = (),
    quantize_first: bool | None = None,
    quantize_scores: bool = False,
    equalize: bool | None = None,
    correct_bias: bool = False,
    recipe: StrPath | None = None,
    search: SearchOptions | None = None,
    progress: Progress = SILENT,
) -> QuantizeReport:
    """Rewrite an FP32 ONNX file to FP16, BF16, FP8 or INT8, check the result and write it.

    Args:
        model: an FP32 .onnx file; a checkpoint, a recipe (whose keep_float then counts for INT8) or "demo" is exported
            first.
        output: the file to write.
        precision: "fp16", "bf16", "int8", "fp8", or "int8+fp16" and "fp8+fp16" for FP16 in the layers that stay in
            float. FP8 is E4M3 with the largest value seen at 448; GPUs have it from compute capability 8.9 on.
        calibration: the images on which the ranges of the activations are measured: a folder, a list, a Pascal VOC
            root (its train list) or "synthetic[:COUNT[:SEED[:HxW]]]", 100 images at most; `DataOptions` for other
            numbers or lists. INT8 and FP8 need them; for FP16 they show which activations exceed 65504 and stay in
            FP32; with BF16 labels are compared on them.
        method: how a range of INT8 is chosen from the values: "minmax", "percentile", "entropy" or "mse".
        percentile: percent of the values that method "percentile" must not clip.
        calibration_cache: a file that keeps what the images showed, for the next run on the same graph and images.
        target: whose INT8 kernels the graph is made for, "tensorrt" or "cpu".
        keep: names or patterns (score_*) of nodes to leave in float; in FP32 for "fp16" and "bf16".
        quantize_first: whether the first layers are in INT8; None is no for "tensorrt", for "cpu" yes
            unless they have at most 16 output channels.
        quantize_scores: whether the 1x1 score layers are in INT8.
        equalize: whether channels are equalised between layers before INT8; None is where one channel is much larger
            than the others of its tensor.
        correct_bias: whether biases take back the mean error of the 8-bit weights, measured on the calibration images.
        recipe: a .toml file whose keep_float names further nodes to leave in float, for INT8 and FP8.
        search: what INT8 may lose, to search for the few layers to leave in float; None takes it as it is.

    Returns:
        The file, the ranges, the layers left in float, and what the images and the search showed.

    Raises:
        UnknownNameError: no such precision, method, target or node.
        CheckpointError, ExportError: the model cannot be read or exported.
        GraphError: the file cannot be rewritten, options that exclude each other, or a result that does not run.
        DataError: no calibration images where INT8 or FP8 needs them, or they cannot be used.
        OutputError: the file cannot be written.
        RecipeError, SearchError, RecordError: from the recipe and the search.

    Example:
        >>> import fcn_deploy
        >>> report = fcn_deploy.quantize("demo.onnx", "int8.onnx", precision="int8", calibration="synthetic:2:0:48x64")
        >>> report.images, report.bytes_after < report.bytes_before
        (2, True)
    """
    options = QuantizeOptions(
        source=Path(model),
        precision=precision,
        calibration=None if calibration is None else calibration_options(calibration),
        method=method,
        percentile=percentile,
        calibration_cache=None if calibration_cache is None else Path(calibration_cache),
        target=target,
        keep=tuple(keep),
        quantize_first=quantize_first,
        quantize_scores=quantize_scores,
        equalize=equalize,
        correct_bias=correct_bias,
        recipe=None if recipe is None else Path(recipe),
        search=search,
    )
    with checked_options(options, Path(output), progress) as checked:
        report = _quantize(checked, Path(output), progress)
    return replace(report, source=Path(model))


def _quantize(options: QuantizeOptions, target: Path, progress: Progress) -> QuantizeReport:
    """Open model and images and equalise the graph; then rewrite it, with the time that all of it took."""
    started = time.perf_counter()
    model = load_rewritable(options.source)
    card = find_card(model, options.source)
    if options.search is not None:
        options.search.check_classes(card)
    images = None if options.calibration is None else open_checked(card, options.calibration, progress)
    wanted = options.equalize if options.codes is INT8 else False
    with equalized_graph(options.source, model, card, images, wanted, progress) as graph:
        report = _rewrite(model, card, images, graph, options, target, progress)
    return replace(report, seconds=time.perf_counter() - started)


def _rewrite(
    model: ir.Model,
    card: ModelCard | None,
    images: CalibrationSet | None,
    graph: EqualizedGraph,
    options: QuantizeOptions,
    target: Path,
    progress: Progress,
) -> QuantizeReport:
    codes, half = options.codes, options.half
    kept = {} if codes is None else layers_kept_in_float(model, options)
    wide = {} if half is None else nodes_kept_in_fp32(model, () if codes is not None else options.keep, half)
    names = [] if codes is None else quantised_tensors(model, options.target, kept, codes.name)
    seen = cache = None
    if images is not None and half is not BF16:
        wanted = TensorSelection(names, () if half is None else network_tensors(model))
        files = CalibrationFiles(graph.path, options.source, options.calibration_cache)
        seen, cache = collect_statistics(files, model, card, images, wanted, progress=progress)
    ranges = {} if seen is None else choose_ranges(seen, names, options)
    if half is not None and seen is not None:  # before the pairs come between a tensor and its readers
        wide = nodes_beyond_fp16(model, seen.largest) | wide
    searched = None
    if options.search is not None:
        rest = None if half is None else wide
        searched = _search(model, card, options, graph.path, kept, ranges, rest, target, progress)
        kept |= dict.fromkeys(searched.kept, SEARCHED)
        names = quantised_tensors(model, options.target, kept)
        ranges = {name: ranges[name] for name in names}
    corrected = {}
    if options.correct_bias and images is not None:
        corrected = correct_measured_biases(graph.path, model, card, images, kept, progress)
    report = rewrite(model, options, kept, ranges, wide)
    note_precision(model, card, options)
    bytes_before = _size(options.source)
    with atomic_path(target) as temporary:
        save_graph(model, temporary)
        del model
        gc.collect()
        first = [] if images is None else images.first(CHECKED_IMAGES)
        agreement = check_rewritten(temporary, options.source, first, progress)
        bytes_after = _size(temporary)
    return QuantizeReport(
        path=target,
        source=options.source,
        precision=options.precision,
        target=options.target,
        method=options.own_method,
        images=0 if images is None else len(images.coverage.frames.names),
        coverage=None if images is None else images.coverage,
        equalized=graph.tensors,
        asked_to_equalize=options.equalize is True,
        bias_changes=corrected,
        ranges=ranges,
        clipped={} if seen is None else {name: seen.histograms[name].share_outside(*ranges[name]) for name in names},
        kept_in_float=kept,
        half=report,
        largest_activation=None if seen is None else max(seen.largest.items(), key=lambda item: item[1]),
        agreement=agreement,
        bytes_before=bytes_before,
        bytes_after=bytes_after,
        seconds=0.0,
        cache=cache,
        overlap=None if images is None or searched is None else overlap(images.coverage.frames, searched.frames),
        search=searched,
    )


def _search(
    model: ir.Model,
    card: ModelCard | None,
    options: QuantizeOptions,
    source: Path,
    kept: Mapping[str, str],
    ranges: Mapping[str, Range],
    wide: Mapping[str, str] | None,
    target: Path,
    progress: Progress,
) -> SearchReport:
    """Search the layers to leave in float; the log is next to `target` unless it was named."""
    assert options.search is not None
    io, layers = graph_io_of(model, str(source), card), tuple(candidates(model, kept))
    # A copy: looking at parts gives a graph types, and the file shall not depend on how far a search had come.
    network = SearchedNetwork(copy_model(model), io, options.target, kept, layers, ranges, wide)
    return search_layers(
        network,
        options.search,
        target.with_name(target.name + LOG_SUFFIX),
        card=card,
        asked=tuple(name for name, reason in kept.items() if reason == REQUESTED),
        identity={"model": graph_digest(source), "precision": options.precision, "target": options.target},
        progress=progress,
    )


def _size(path: Path) -> int:
    """Return the bytes of a file and of its external data."""
    return sum(file.stat().st_size for file in {path, *scan(path, show=True).values()})
