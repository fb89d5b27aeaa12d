"""Measure the error of each layer of an ONNX stage alone, against the stage that it should equal."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.diagnosis.causes import layer_causes, normalisation_causes
from fcn_deploy.diagnosis.compared_layers import ComparedLayer, IsolatedLayers, carrying_value, find_layers
from fcn_deploy.diagnosis.tensor_error import TensorError
from fcn_deploy.diagnosis.tensors import ENTRY, OnnxSource, Tensors, TorchSource
from fcn_deploy.diagnosis.tolerances import FEWEST_FOR_MEDIAN, LEAST_SHARE, TIMES_MEDIAN, Tolerances
from fcn_deploy.errors import GraphError, first_line
from fcn_deploy.graph.nodes import CONTRACT_PREFIX
from fcn_deploy.graph.subgraph import Subgraph
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.scratch import scratch_folder

# So many layers are open at a time: all tensors of a large network on one image would be gigabytes.
AT_ONCE = 48
HOST = "normalisation on the host"
Images = Sequence[NDArray[np.uint8]]


@dataclass(frozen=True)
class LayerError:
    """One layer fed with the other stage's tensors.

    Attributes:
        precision: "fp32", "fp16" or "int8".
        error: RMS of the difference over the RMS of the other stage's result; of labels the share that differs.
        bound: the error that is still in order; median: of the layers of this precision, None if they are few.
        out_of_line: whether the error is beyond either.
        causes: what is found to be different, the surest first; only of layers out of line.
    """

    name: str
    op_type: str
    precision: str
    error: float
    bound: float
    median: float | None
    out_of_line: bool
    causes: tuple[str, ...] = ()

    @property
    def sqnr_db(self) -> float:
        """Signal to quantisation noise ratio in decibels; inf without any error."""
        if self.error == 0:
            return math.inf
        return -20 * math.log10(self.error) if math.isfinite(self.error) else -math.inf


def layer_errors(
    stage: OnnxSource,
    other: OnnxSource | TorchSource,
    images: Images,
    tolerances: Tolerances,
    *,
    least: str = "fp32",
    progress: Progress = SILENT,
) -> tuple[LayerError, ...]:
    """Return the layers of `stage` in the graph's order, each fed with what `other` has at the same places.

    Args:
        images: uint8[N, H, W, 3] each.
        least: precision of `other`: no layer is held to a smaller bound than that one's.

    Returns:
        Empty if the two have no tensor in common but the image.

    Raises:
        GraphError: a layer does not take the other's tensors, because the networks are not the same.
    """
    layers, tensor_errors = _tensor_errors(stage, other, images, progress)
    judged = _layer_error(layers, tensor_errors, tolerances, least)
    folded = not any(node.op_type == "BatchNormalization" for node in stage.model.graph)
    return tuple(
        error if not error.out_of_line else _with_causes(error, layer, tensor_errors, stage, other, folded)
        for error, layer in zip(judged, layers, strict=True)
    )


def _tensor_errors(
    stage: OnnxSource, other: OnnxSource | TorchSource, images: Images, progress: Progress
) -> tuple[list[ComparedLayer], dict[str, TensorError]]:
    """Return the layers in order, and the error of every tensor that both networks have."""
    shared = _shared_tensors(stage, other.names)
    layers = find_layers(stage.model, shared)
    fed = IsolatedLayers(stage.model, shared)
    tensor_errors = {name: TensorError() for name in shared}
    chunks = [layers[start : start + AT_ONCE] for start in range(0, len(layers), AT_ONCE)]
    with (
        scratch_folder() as folder,
        progress.task("feeding layers", len(chunks) * len(images)) as task,
        interrupts() as check,
    ):

        def feed(chunk: Sequence[ComparedLayer]) -> None:
            """Run one chunk; its sessions are freed before the next chunk's are opened."""
            part, read = fed.open(chunk, folder), other.open(_needed(chunk, shared), folder)
            for image in images:
                given = _feeds(read(image), shared, stage, image)
                for tensor, result in _run(part, fed.feeds(part, given)).items():
                    tensor_errors[tensor].add(given[tensor], result)
                task.advance()
                check()

        for chunk in chunks:
            feed(chunk)
    return _with_host_layer(layers, tensor_errors, stage, other, images), tensor_errors


def _run(part: Subgraph, feeds: Tensors) -> Tensors:
    try:
        return part.run(feeds)
    except Exception as error:  # onnxruntime's exceptions have no base of their own
        raise GraphError(
            f"its layers do not take the other stage's tensors ({first_line(error)}): is it another network?"
        ) from error


def _shared_tensors(stage: OnnxSource, names: Collection[str]) -> dict[str, str]:
    """Return tensor of `stage` -> name of the same one in the other network."""
    known = set(names)
    values = ir.convenience.create_value_mapping(stage.model.graph)
    both = [name for name in stage.names if name in known and name != ENTRY]
    found = {str(carrying_value(values[name]).name): name for name in both}
    if stage.entry not in found and stage.entry in stage.names:
        found[stage.entry] = ENTRY
    return found


def _needed(layers: Sequence[ComparedLayer], shared: Mapping[str, str]) -> list[str]:
    """Return what the other network must give for these layers, by its own names."""
    used = [name for layer in layers for name in (layer.tensor, *layer.reads)]
    return list(dict.fromkeys([*(shared[name] for name in used if name in shared), ENTRY]))


def _feeds(read: Tensors, shared: Mapping[str, str], stage: OnnxSource, image: NDArray[np.uint8]) -> Tensors:
    """Return the other network's tensors by the names of `stage`, and the graph's input as the other network has it."""
    given = {name: read[own] for name, own in shared.items() if own in read}
    return given | {stage.io.image: read[ENTRY] if stage.entry == stage.io.image else image}


def _with_host_layer(
    layers: list[ComparedLayer],
    tensor_errors: dict[str, TensorError],
    stage: OnnxSource,
    other: OnnxSource | TorchSource,
    images: Images,
) -> list[ComparedLayer]:
    """Add the host's normalisation as the first layer if the graph takes floats."""
    if stage.entry != stage.io.image:
        return layers
    tensor_errors[stage.entry] = TensorError()
    with scratch_folder() as folder:
        read = other.open([ENTRY], folder)
        for image in images:
            tensor_errors[stage.entry].add(read(image)[ENTRY], stage.io.prepare(image))
    return [ComparedLayer(HOST, "", stage.entry, (), "fp32", ()), *layers]


def _layer_error(
    layers: Sequence[ComparedLayer], tensor_errors: Mapping[str, TensorError], tolerances: Tolerances, least: str
) -> list[LayerError]:
    errors = [tensor_errors[layer.tensor].relative for layer in layers]
    middles = {}
    for precision in tolerances:
        own = [error for layer, error in zip(layers, errors, strict=True) if layer.precision == precision and error > 0]
        middles[precision] = median(own) if len(own) >= FEWEST_FOR_MEDIAN else None
    found = []
    for layer, error in zip(layers, errors, strict=True):
        bound = max(tolerances[precision].layer for precision in (layer.precision, least))
        middle = middles[layer.precision]
        outlier = middle is not None and error > max(TIMES_MEDIAN * middle, LEAST_SHARE * bound)
        found.append(
            LayerError(layer.name, layer.op_type, layer.precision, error, bound, middle, error > bound or outlier)
        )
    return found


def _with_causes(
    error: LayerError,
    layer: ComparedLayer,
    tensor_errors: Mapping[str, TensorError],
    stage: OnnxSource,
    other: OnnxSource | TorchSource,
    folded: bool,
) -> LayerError:
    """Add the likely causes to an error."""
    if layer.name == HOST or layer.name.startswith(CONTRACT_PREFIX):
        causes = normalisation_causes(other.normalisation, stage.normalisation)
    else:
        known = other.parameters(layer.name, folded=folded)
        causes = layer_causes(layer, tensor_errors[layer.tensor], tensor_errors, known, error.bound)
    return replace(error, causes=tuple(causes))
