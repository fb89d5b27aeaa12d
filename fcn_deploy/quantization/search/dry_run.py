"""Estimate the cost of a search by running one image through the FP32 graph and the parts behind each layer.

Nothing is quantised for it: that needs the ranges that calibration measures.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from fcn_deploy.data.dataset import iterate
from fcn_deploy.data.options import classes_of, open_for_model
from fcn_deploy.graph.load import find_card
from fcn_deploy.graph.ports import graph_io_of
from fcn_deploy.graph.subgraph import Subgraph, extract_subgraph
from fcn_deploy.graph.weights import weights_bytes
from fcn_deploy.quantization.options import QuantizeOptions, checked_options, layers_kept_in_float
from fcn_deploy.quantization.rewrites.int8 import load_rewritable
from fcn_deploy.quantization.search.cache import TensorCache, Tensors, cache_bytes
from fcn_deploy.quantization.search.images import require_labels
from fcn_deploy.quantization.search.steps import LIVE, candidates, tensors_before
from fcn_deploy.system.plain import plain
from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.system.scratch import scratch_folder
from fcn_deploy.vocabulary import LABELS


@dataclass(frozen=True)
class SearchPlan:
    """The steps of a search and what they would cost.

    Attributes:
        size: H, W of the timed image; all are taken to be so large.
        kept: convolution -> why it stays in float anyway.
        pass_seconds: one pass of the whole FP32 graph over all images.
        own_seconds: all layers alone.
        most_sets: sets of layers that are tried if the answer is a few layers: doubling, bisection, letting go.
        cached_bytes, free_bytes: activations on disk at most, and what is free in `folder`, where they would be.
    """

    data: str
    images: int
    size: tuple[int, int]
    layers: tuple[str, ...]
    kept: Mapping[str, str]
    pass_seconds: float
    own_seconds: float
    most_sets: int
    cached_bytes: int
    free_bytes: int
    folder: Path

    @property
    def most_seconds(self) -> float:
        return (2 + self.most_sets) * self.pass_seconds + self.own_seconds

    def to_plain(self) -> dict[str, Any]:
        """Return the plan as JSON holds it; times in seconds, sizes in bytes."""
        return {**plain(self), "most_seconds": self.most_seconds}


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
        options.search.budget.check(classes_of(card, dataset))
        sample = next(iter(iterate(dataset, on_error=options.search.images.on_error)))
        require_labels(sample)
        io = graph_io_of(model, str(options.source), card)
        size = (sample.image.shape[0], sample.image.shape[1])
        cuts = [tensors_before(model, layer, options.target) for layer in layers]
        cached = cache_bytes(model, cuts, size, len(dataset) * size[0] * size[1])
        with scratch_folder() as folder:
            feeds = {io.image: io.prepare(sample.image[None])}
            walk = _TimedWalk(model, io.fetches((LABELS,)), TensorCache(folder), len(dataset))
            whole = walk.suffix(feeds)
            own = sum(walk.to(cut, feeds) for cut in track(progress, "timing one image", cuts, len(cuts)))
            free = shutil.disk_usage(folder).free - weights_bytes(model)  # a part's, written while it is opened
        return SearchPlan(
            data=dataset.name,
            images=len(dataset),
            size=size,
            layers=layers,
            kept=kept,
            pass_seconds=whole,
            own_seconds=own,
            most_sets=3 * len(layers).bit_length(),
            cached_bytes=cached,
            free_bytes=free,
            folder=folder.parent,
        )


class _TimedWalk:
    """One image through the graph, cut by cut; each time is scaled to `images` images."""

    def __init__(self, model: ir.Model, outputs: list[str], cache: TensorCache, images: int) -> None:
        self._model, self._outputs, self._cache, self._images = model, outputs, cache, images
        self._tensors: Tensors = {}

    def to(self, cut: list[str], feeds: Tensors) -> float:
        """Return seconds to move on to `cut` and to run what follows it."""
        before = self._tensors or feeds
        made = [name for name in cut if name not in before]
        seconds = 0.0
        if made:
            part, seconds = self._open(list(before), made)
            seconds += self._images * _timed(lambda: part.run(before))
            before = {**before, **part.run(before)}
        self._tensors = {name: before[name] for name in cut}
        seconds += self._images * _timed(lambda: self._cache.put(LIVE, 0, self._tensors))
        seconds += self._images * _timed(lambda: self._cache.get(LIVE, 0))
        return seconds + self.suffix(self._tensors)

    def suffix(self, tensors: Tensors) -> float:
        """Return seconds to open what follows `tensors` and to run it for all images."""
        part, seconds = self._open(list(tensors), self._outputs)
        part.run(tensors)  # the first run allocates
        return seconds + self._images * _timed(lambda: part.run(tensors))

    def _open(self, inputs: list[str], outputs: list[str]) -> tuple[Subgraph, float]:
        started = time.perf_counter()
        part = Subgraph(extract_subgraph(self._model, inputs, outputs), self._cache.folder)
        return part, time.perf_counter() - started


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
