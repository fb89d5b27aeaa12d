"""Estimate the cost of a search by running one image through the steps that it would take.

The ranges that calibration would measure are not known; any others take the same time.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx_ir as ir

from fcn_deploy.data.dataset import iterate
from fcn_deploy.data.options import classes_of, open_for_model
from fcn_deploy.data.sample import Sample
from fcn_deploy.graph.load import find_card
from fcn_deploy.graph.ports import GraphIO, graph_io_of
from fcn_deploy.graph.subgraph import Subgraph, copy_model, extract_subgraph
from fcn_deploy.graph.weights import weights_bytes
from fcn_deploy.metrics.boundary import boundary_mask
from fcn_deploy.quantization.options import QuantizeOptions, checked_options, layers_kept_in_float
from fcn_deploy.quantization.rewrites.half_type import nodes_kept_in_fp32
from fcn_deploy.quantization.rewrites.int8 import load_rewritable
from fcn_deploy.quantization.rewrites.qdq import quantised_tensors
from fcn_deploy.quantization.search.cache import TensorCache, Tensors, cache_bytes
from fcn_deploy.quantization.search.images import count_labels, require_labels
from fcn_deploy.quantization.search.steps import (
    LIVE,
    SearchedNetwork,
    candidates,
    quantise_one_layer,
    tensors_before,
)
from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.system.scratch import scratch_folder
from fcn_deploy.system.serialization.plain import plain

RUNS, ENOUGH_S = 5, 0.2  # one inference is timed this often, or for so many seconds


@dataclass(frozen=True)
class SearchPlan:
    """The steps of a search and what they would cost.

    Attributes:
        size: H, W of the timed image; all are taken to be so large.
        kept: convolution -> why it stays in float anyway.
        read_seconds: decoding all images.
        pass_seconds: one pass of the whole FP32 graph over all images, and the scores of its labels.
        set_seconds: the same of the graph in INT8, with its rewriting.
        own_seconds: all layers alone.
        most_sets: sets of layers that are tried if the answer is a few layers: doubling, bisection, letting go.
        cached_bytes, free_bytes: activations on disk at most, and what is free in `folder`, where they would be.
    """

    data: str
    images: int
    size: tuple[int, int]
    layers: tuple[str, ...]
    kept: Mapping[str, str]
    read_seconds: float
    pass_seconds: float
    set_seconds: float
    own_seconds: float
    most_sets: int
    cached_bytes: int
    free_bytes: int
    folder: Path

    @property
    def least_seconds(self) -> float:
        """What it takes if all in INT8 passes."""
        return self.read_seconds + self.pass_seconds + self.set_seconds

    @property
    def most_seconds(self) -> float:
        return self.seconds_for(self.most_sets)

    def seconds_for(self, sets: int) -> float:
        """Return what it takes if all in INT8 does not pass and `sets` sets of layers are tried."""
        return self.least_seconds + self.own_seconds + sets * self.set_seconds

    def to_plain(self) -> dict[str, Any]:
        """Return the plan as JSON holds it; times in seconds, sizes in bytes."""
        return {**plain(self), "least_seconds": self.least_seconds, "most_seconds": self.most_seconds}


def plan_search(options: QuantizeOptions, target: Path, progress: Progress = SILENT) -> SearchPlan:
    """Look at the graph, the set and one image; nothing stays on disk.

    Raises:
        As for `quantize`, before its calibration.
    """
    with checked_options(options, target, progress) as options:
        assert options.search is not None
        model = load_rewritable(options.source)
        card = find_card(model, options.source)
        kept = layers_kept_in_float(model, options)
        layers = tuple(candidates(model, kept))
        dataset = open_for_model(card, options.search.images, progress)
        classes = classes_of(card, dataset)
        options.search.budget.check(classes)
        started = time.perf_counter()
        sample = next(iter(iterate(dataset, on_error=options.search.images.on_error)))
        read = len(dataset) * (time.perf_counter() - started)
        require_labels(sample)
        io = graph_io_of(model, str(options.source), card)
        size = (sample.image.shape[0], sample.image.shape[1])
        cuts = [tensors_before(model, layer, options.target) for layer in layers]
        cached = cache_bytes(model, cuts, size, len(dataset) * size[0] * size[1])
        with scratch_folder() as folder:
            network = _with_any_ranges(model, io, options, kept, layers)
            walk = _TimedWalk(network, sample, len(classes), folder, len(dataset))
            whole = walk.fp32()
            own = sum(walk.alone(layer) for layer in track(progress, "timing one image", layers, len(layers)))
            rewritten = walk.int8()  # one of many: the first graphs in INT8 of a process take longer
            free = shutil.disk_usage(folder).free - weights_bytes(model)  # a part's, written while it is opened
        return SearchPlan(
            data=dataset.name,
            images=len(dataset),
            size=size,
            layers=layers,
            kept=kept,
            read_seconds=read,
            pass_seconds=whole,
            set_seconds=rewritten,
            own_seconds=own,
            most_sets=3 * len(layers).bit_length(),
            cached_bytes=cached,
            free_bytes=free,
            folder=folder.parent,
        )


def _with_any_ranges(
    model: ir.Model, io: GraphIO, options: QuantizeOptions, kept: Mapping[str, str], layers: tuple[str, ...]
) -> SearchedNetwork:
    """Return the network of the search with ranges that were not measured.

    On a CPU they start at 0, as after ReLU: ONNX Runtime then drops the ReLU, without which its kernels do not fuse.
    """
    wide = None if options.half is None else nodes_kept_in_fp32(model, (), options.half)
    ranges = dict.fromkeys(
        quantised_tensors(model, options.target, kept), (0.0 if options.target == "cpu" else -1.0, 1.0)
    )
    return SearchedNetwork(copy_model(model), io, options.target, kept, layers, ranges, wide)


class _TimedWalk:
    """One image through the steps of a search, layer by layer; each time is scaled to `images` images."""

    def __init__(self, network: SearchedNetwork, sample: Sample, classes: int, folder: Path, images: int) -> None:
        self._network, self._cache, self._images = network, TensorCache(folder), images
        self._feeds: Tensors = {network.io.image: network.io.prepare(sample.image[None])}
        self._tensors: Tensors = {}
        truth = require_labels(sample)[None]
        near, labels = boundary_mask(truth), np.zeros_like(truth)  # which labels does not matter
        self._score_seconds = self._all(lambda: count_labels(truth, near, labels, classes))

    def fp32(self) -> float:
        """Return seconds of a pass of the FP32 graph."""
        network = self._network
        return self._labels(lambda: extract_subgraph(network.model, [network.io.image], network.outputs), self._feeds)

    def int8(self) -> float:
        """Return seconds of a pass of the graph with every layer in INT8."""
        return self._labels(lambda: self._network.whole(()), self._feeds)

    def alone(self, layer: str) -> float:
        """Return seconds to move on to the tensors before `layer`, and to run what follows with it alone in INT8."""
        network = self._network
        cut = tensors_before(network.model, layer, network.target)
        before = self._tensors or self._feeds
        made = [name for name in cut if name not in before]
        seconds = 0.0
        if made:
            part, seconds = self._open(lambda: extract_subgraph(network.model, list(before), made))
            seconds += self._all(lambda: part.run(before))
            before = {**before, **part.run(before)}
        if cut != list(self._tensors):
            self._tensors = {name: before[name] for name in cut}
            seconds += self._all(lambda: self._cache.put(LIVE, 0, self._tensors))
        seconds += self._all(lambda: self._cache.get(LIVE, 0))
        return seconds + self._labels(
            lambda: quantise_one_layer(network.model, cut, network.outputs, layer, network.target, network.ranges),
            self._tensors,
        )

    def _labels(self, made: Callable[[], ir.Model], tensors: Tensors) -> float:
        """Return seconds to make and open a graph, to run it for all images, and to score the labels."""
        part, seconds = self._open(made)
        return seconds + self._all(lambda: part.run(tensors)) + self._score_seconds

    def _open(self, made: Callable[[], ir.Model]) -> tuple[Subgraph, float]:
        started = time.perf_counter()
        part = Subgraph(made(), self._cache.folder)
        return part, time.perf_counter() - started

    def _all(self, work: Callable[[], object]) -> float:
        """Return seconds of `work` for all images: the median of some runs, after one that allocates."""
        work()
        samples: list[float] = []
        while len(samples) < RUNS and sum(samples) < ENOUGH_S:
            started = time.perf_counter()
            work()
            samples.append(time.perf_counter() - started)
        return self._images * median(samples)
