"""Decide once how a network is quantised, for a training that computes with it and for the INT8 file at its end.

The decisions are those of `quantize`: which convolutions stay in float, and which range each quantised tensor has. The
ranges are kept, so that the file has the scales that were trained with; the scales of the weights follow the weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError, RecordError
from fcn_deploy.graph.float_layers import convolutions
from fcn_deploy.graph.load import find_card
from fcn_deploy.graph.weights import save_graph
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.quantization.calibration.collect import CalibrationFiles, TensorSelection, collect_statistics
from fcn_deploy.quantization.calibration.histogram import choose_range
from fcn_deploy.quantization.calibration.images import open_checked
from fcn_deploy.quantization.check import check_rewritten
from fcn_deploy.quantization.note import note_precision
from fcn_deploy.quantization.options import layers_kept_in_float
from fcn_deploy.quantization.recipe import QuantizeRecipe
from fcn_deploy.quantization.rewrites.int8 import load_rewritable, to_int8
from fcn_deploy.quantization.rewrites.qdq import Range, quantised_tensors
from fcn_deploy.system.files import atomic_path, write_text
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.decode import decode, parse_json
from fcn_deploy.system.serialization.plain import plain

CHECKED_IMAGES = 2


@dataclass(frozen=True)
class PlannedLayer:
    """A convolution that reads a quantised tensor.

    Attributes:
        name: of the node, and of the module of the PyTorch network.
        low, high: the range of what it reads.
        weights: whether its weights are quantised too; a convolution left in float may read a quantised tensor.
    """

    name: str
    low: float
    high: float
    weights: bool


@dataclass(frozen=True)
class QuantizationPlan:
    """How a network is quantised.

    Attributes:
        ranges: tensor -> (low, high) that 8 bits cover.
        kept: convolution -> why it stays in float.
        layers: the convolutions that read quantised tensors.
    """

    recipe: QuantizeRecipe
    ranges: dict[str, Range]
    kept: dict[str, str]
    layers: tuple[PlannedLayer, ...]

    def save(self, path: Path) -> None:
        """Write the plan as JSON; OutputError if it cannot be written."""
        write_text(path, json.dumps(plain(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> QuantizationPlan:
        """Read what `save` wrote; RecordError if it cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise RecordError(f"{path} cannot be read: {error.strerror or error}") from error
        return decode(cls, parse_json(text, str(path), RecordError), str(path), RecordError)


def plan_quantization(source: Path, recipe: QuantizeRecipe, progress: Progress = SILENT) -> QuantizationPlan:
    """Measure the ranges of an exported FP32 file on the calibration images, and decide as `quantize` does.

    Raises:
        DataError: the calibration images cannot be used.
        GraphError: the file cannot be quantised, or for CPUs a quantised tensor has another reader than convolutions,
            which would compute with other values than in training.
    """
    model = load_rewritable(source)
    card, options = find_card(model, source), recipe.options(source)
    kept = layers_kept_in_float(model, options)
    names = quantised_tensors(model, recipe.target, kept)
    layers = _readers(model, recipe, kept, names)
    assert options.calibration is not None
    images = open_checked(card, options.calibration, progress)
    wanted = TensorSelection(names)
    seen, _ = collect_statistics(CalibrationFiles(source, source), model, card, images, wanted, progress=progress)
    symmetric = recipe.target == "tensorrt"
    ranges = {
        name: choose_range(seen.histograms[name], recipe.method, symmetric=symmetric, percentile=recipe.percentile)
        for name in names
    }
    planned = tuple(PlannedLayer(layer, *ranges[name], layer not in kept) for layer, name in layers.items())
    return QuantizationPlan(recipe, ranges, kept, planned)


def write_planned(
    plan: QuantizationPlan, source: Path, target: Path, original: Path, progress: Progress = SILENT
) -> PixelShare | None:
    """Rewrite an exported FP32 file of the same network to INT8 with the plan's ranges, check it and write it.

    Args:
        original: the checkpoint that `source` was exported from, for the model card.

    Returns:
        Pixels of some calibration images whose label is that of the FP32 file.

    Raises:
        GraphError, DataError, OutputError: as for `quantize`.
    """
    model = load_rewritable(source)
    card: ModelCard | None = find_card(model, source)
    options = plan.recipe.options(source, original)
    to_int8(model, plan.recipe.target, plan.kept, plan.ranges)
    note_precision(model, card, options)
    assert options.calibration is not None
    images = open_checked(card, options.calibration, progress).first(CHECKED_IMAGES)
    with atomic_path(target) as temporary:
        save_graph(model, temporary)
        return check_rewritten(temporary, source, images, progress)


def _readers(model: ir.Model, recipe: QuantizeRecipe, kept: dict[str, str], names: list[str]) -> dict[str, str]:
    """Return convolution -> the quantised tensor that it reads as one."""
    found = {str(node.name): str(node.inputs[0].name) for node in convolutions(model) if node.inputs[0] is not None}
    if recipe.target == "tensorrt":  # the pair is on the edge to a quantised convolution
        return {layer: name for layer, name in found.items() if layer not in kept}
    for value in (node.inputs[0] for node in convolutions(model)):
        if value is None or value.name not in names:
            continue
        others = [use.node for use in value.uses() if use.node.op_type not in ("Shape", "Conv")]
        if others:
            raise GraphError(
                f"{value.name} is also read by {others[0].name} ({others[0].op_type}), which for the target cpu would "
                'read 8 bits that training did not; use target = "tensorrt"'
            )
    return {layer: name for layer, name in found.items() if name in names}
