"""Compute the receptive field of a model file: of the graph itself, or of the network that its card names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError
from fcn_deploy.model_file import kind_of
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.tiling.receptive_field.compute import ReceptiveField

if TYPE_CHECKING:
    import onnx_ir as ir

# Tensors above this are weights, of which only the shape tells what a label sees; those below may be sizes and pads.
WEIGHTS_BYTES = 1 << 16
# Channels change nothing about which pixels a label sees, so the network is built as thin as it can be.
THIN = 0.05


def receptive_field_of(source: str, card: ModelCard | None, progress: Progress = SILENT) -> ReceptiveField:
    """Compute the receptive field of the model in `source`.

    Of an .onnx file its graph is read. An engine or a checkpoint holds none, and the network of `card` is built.

    Raises:
        GraphError: the graph cannot be cut into tiles, or cannot be read; or `source` has neither graph nor card.
        UnknownNameError, RecipeError, ExportError: the card's network cannot be built.
    """
    from fcn_deploy.graph.load import load_graph

    if kind_of(source) == "onnx":
        return ReceptiveField(drop_weights(load_graph(Path(source))))
    if card is None:
        raise GraphError(
            f"{source} holds no model card, so nothing tells which pixels a label depends on; tiles need a model that "
            "fcn-deploy exported or built"
        )
    return receptive_field_of_card(card, progress)


def drop_weights(model: ir.Model) -> ir.Model:
    """Reduce the large initializers of `model` to name, type and shape, in place; small ones are copied.

    A tensor that was read from a file holds all of the file in memory.
    """
    import onnx_ir as ir

    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is None:
            continue
        if tensor.nbytes > WEIGHTS_BYTES:
            shape = ir.Shape([int(dim) for dim in tensor.shape.numpy()])
            value.const_value = ir.LazyTensor(_placeholder, dtype=tensor.dtype, shape=shape, name=value.name)
        else:
            value.const_value = ir.tensor(tensor.numpy().copy(), dtype=tensor.dtype, name=value.name)
    return model


def _placeholder() -> ir.TensorProtocol:
    raise GraphError("the values of weights are not at hand where only receptive fields are asked for")


def receptive_field_of_card(card: ModelCard, progress: Progress = SILENT) -> ReceptiveField:
    """Compute the receptive field of the network of `card`; its weights are not read. Errors as above."""
    from fcn_deploy.models.registry import build
    from fcn_deploy.onnx_export.trace import trace

    with progress.task("tracing the network for its receptive field", None):
        return ReceptiveField(trace(build(replace(card, options={**card.options, "width": THIN}))))
