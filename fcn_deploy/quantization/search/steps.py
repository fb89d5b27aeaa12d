"""Run the steps of a search, each a pass over all images, and write each to the log when it is done.

The nodes before a layer compute the same whether or not the layer is quantised. So its tensors are computed once,
and the effect of that layer alone needs no more than the part of the graph behind them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.graph.float_layers import SEARCHED, convolutions
from fcn_deploy.graph.ports import GraphIO
from fcn_deploy.graph.subgraph import Subgraph, extract_subgraph, live_tensors_before
from fcn_deploy.graph.weights import weights_bytes
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.quantization.rewrites.int8 import to_int8
from fcn_deploy.quantization.rewrites.qdq import Range
from fcn_deploy.quantization.search.cache import TensorCache, cache_bytes, check_disk_space
from fcn_deploy.quantization.search.images import PassResult, SearchImages
from fcn_deploy.quantization.search.log import SearchLog, SearchStep
from fcn_deploy.system.progress import Progress, track
from fcn_deploy.vocabulary import LABELS, Target

LIVE = "live"
ALONE = "another layer is measured"
FP32 = SearchStep("fp32")
LabelsOf = Callable[[int], NDArray[Any]]  # an image's number -> its labels, [1, H, W]


@dataclass(frozen=True)
class SearchedNetwork:
    """The graph whose layers are searched.

    Attributes:
        model: the FP32 graph with its batch norms folded; it stays as it is.
        kept: convolution -> why it stays in float in any case.
        layers: the others, in the graph's order.
        ranges: tensor -> (low, high) that 8 bits cover, of all that the graph with every one of them in INT8 quantises.
        wide: nodes that stay in FP32 where the rest becomes FP16; None where it does not.
    """

    model: ir.Model
    io: GraphIO
    target: Target
    kept: Mapping[str, str]
    layers: tuple[str, ...]
    ranges: Mapping[str, Range]
    wide: Mapping[str, str] | None = None

    @property
    def outputs(self) -> list[str]:
        """From which the labels are made."""
        return self.io.fetches((LABELS,))

    def whole(self, kept: Sequence[str]) -> ir.Model:
        """Return the graph that would be written with `kept` in float."""
        part = extract_subgraph(self.model, [self.io.image], self.outputs)
        reasons = {**self.kept, **dict.fromkeys(kept, SEARCHED)}
        to_int8(part, self.target, reasons, self.ranges, self.wide)
        return part


def candidates(model: ir.Model, kept: Mapping[str, str]) -> list[str]:
    """Return the convolutions that would be INT8, in the order of the graph, in which each has a name of its own."""
    return [str(node.name) for node in convolutions(model) if node.name not in kept]


def tensors_before(model: ir.Model, layer: str, target: Target) -> list[str]:
    """Return the FP32 tensors from which the network with `layer` alone in INT8 can be computed to its end.

    For "tensorrt" the graph is cut right before the layer. For "cpu" every reader of the layer's input reads 8 bits, so
    the cut is before the first of them.
    """
    node = next(node for node in model.graph if node.name == layer)
    source = node.inputs[0]
    if target == "tensorrt" or source is None:
        return live_tensors_before(model, layer)
    readers = {use.node for use in source.uses() if use.node.op_type != "Shape"}
    return live_tensors_before(model, str(next(node.name for node in model.graph if node in readers)))


def quantise_one_layer(
    model: ir.Model,
    inputs: Sequence[str],
    outputs: Sequence[str],
    layer: str,
    target: Target,
    ranges: Mapping[str, Range],
) -> ir.Model:
    """Return the part of `model` between two sets of tensors with `layer` alone in INT8; `model` stays as it is.

    Args:
        ranges: tensor -> (low, high), as for `to_int8`.
    """
    part = extract_subgraph(model, inputs, outputs)
    kept = {node.name or "": ALONE for node in convolutions(part) if node.name != layer}
    to_int8(part, target, kept, ranges)
    return part


class StepRunner:
    """Measures what the log does not hold yet; Ctrl-C ends a step between two images, and the step is then lost."""

    def __init__(
        self, network: SearchedNetwork, images: SearchImages, cache: TensorCache, log: SearchLog, progress: Progress
    ) -> None:
        self._network, self._images, self._cache, self._log, self._progress = network, images, cache, log, progress
        self._cut: list[str] = []  # the tensors that the cache holds of every image; none yet
        self.cached = 0

    def fp32(self) -> PassResult:
        """Measure the FP32 graph; its labels become the reference."""
        return self._result(FP32, "FP32", self._open_fp32)

    def int8_except(self, layers: Sequence[str]) -> PassResult:
        """Measure the graph with all layers in INT8 but `layers`."""
        step = SearchStep("kept", tuple(layer for layer in self._network.layers if layer in layers))

        def opened() -> LabelsOf:
            part = Subgraph(self._network.whole(step.layers), self._cache.folder)
            return lambda index: self._labels(part, self._start(index))

        return self._result(step, f"INT8 with {len(layers)} in float" if layers else "all in INT8", opened)

    def logged(self, layer: str) -> PassResult | None:
        """Return the logged result of `layer` alone in INT8; None if it is not in the log."""
        return self._log.get(SearchStep("only", (layer,)))

    def int8_alone(self, layer: str) -> PassResult:
        """Measure `layer` alone in INT8, from the FP32 tensors before it; call it in the graph's order of layers."""
        network = self._network

        def opened() -> LabelsOf:
            self._move_to(tensors_before(network.model, layer, network.target))
            model = quantise_one_layer(network.model, self._cut, network.outputs, layer, network.target, network.ranges)
            part = Subgraph(model, self._cache.folder)
            return lambda index: self._labels(part, self._cache.get(LIVE, index))

        return self._result(SearchStep("only", (layer,)), f"{layer} alone", opened)

    def _open_fp32(self) -> LabelsOf:
        network = self._network
        part = Subgraph(extract_subgraph(network.model, [network.io.image], network.outputs), self._cache.folder)

        def labels(index: int) -> NDArray[Any]:
            found = self._labels(part, self._start(index))
            self._images.store_reference(index, found)
            return found

        return labels

    def _move_to(self, cut: list[str]) -> None:
        """Let the cache hold the tensors of `cut`, computed from those of the cut before, or from the images."""
        if cut == self._cut:
            return
        network = self._network
        if not self._cut:
            self._reserve()
        before = self._cut or [network.io.image]
        made = [name for name in cut if name not in before]
        part = Subgraph(extract_subgraph(network.model, before, made), self._cache.folder) if made else None
        for index in self._numbers("FP32 up to the next layer"):
            tensors = self._cache.get(LIVE, index) if self._cut else self._start(index)
            if part is not None:
                tensors |= part.run(tensors)
            self._cache.put(LIVE, index, {name: tensors[name] for name in cut})
        self._cut = cut

    def _reserve(self) -> None:
        """Make sure of the disk space; OutputError if there is too little."""
        network, images = self._network, self._images
        left = [layer for layer in network.layers if self.logged(layer) is None]
        cuts = [tensors_before(network.model, layer, network.target) for layer in left]
        self.cached = cache_bytes(network.model, cuts, images.largest, images.pixels)
        self._progress.say(
            f"keeping up to {self.cached / 1e6:.0f} MB of FP32 activations of {len(images)} images, for as long as the "
            f"search runs, in {self._cache.folder}"
        )
        # a part's weights are written while it is opened
        check_disk_space(self._cache.folder, self.cached + weights_bytes(network.model))

    def _numbers(self, words: str) -> Iterator[int]:
        return track(self._progress, words, range(len(self._images)), len(self._images))

    def _start(self, index: int) -> dict[str, NDArray[Any]]:
        return {self._network.io.image: self._network.io.prepare(self._images.image(index))}

    def _labels(self, part: Subgraph, tensors: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return self._network.io.finish(part.run(tensors), (LABELS,))[LABELS]

    def _result(self, step: SearchStep, words: str, opened: Callable[[], LabelsOf]) -> PassResult:
        """Return the logged result of a step, or measure and log it."""
        known = self._log.get(step)
        if known is not None:
            return known
        if step != FP32 and not self._images.has_reference:
            self._measure("FP32", self._open_fp32)  # after a resumption: the log does not hold FP32's labels
        measured = self._measure(words, opened)
        self._log.add(step, measured)
        self._progress.say(_line(step, measured, self._log.get(FP32)))
        return measured

    def _measure(self, words: str, opened: Callable[[], LabelsOf]) -> PassResult:
        """Score the labels of all images by the function that `opened` returns."""
        wall, cpu = time.perf_counter(), time.process_time()
        labels = opened()
        scored = [self._images.score(index, labels(index)) for index in self._numbers(words)]
        overall, boundary, same = zip(*scored, strict=True)
        return PassResult(
            np.stack(overall),
            np.stack(boundary),
            sum(same, PixelShare()),
            time.perf_counter() - wall,
            time.process_time() - cpu,
        )


def _line(step: SearchStep, measured: PassResult, reference: PassResult | None) -> str:
    """Return what a step showed, as a line of progress."""
    what = {
        "fp32": "FP32",
        "only": f"{', '.join(step.layers)} alone in INT8",
        "kept": f"INT8, in float: {', '.join(step.layers) or 'no layer'}",
    }[step.kind]
    line = f"{what}: mIoU {measured.mean_iou:.3f}"
    if reference is not None and step != FP32:
        line += f" ({measured.mean_iou - reference.mean_iou:+.3f}), {measured.changed:.3%} of the labels changed"
    return f"{line}, {measured.seconds:.1f} s"
