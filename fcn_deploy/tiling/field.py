"""The receptive field of a model file: of the graph itself, or of the network that its card names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import GraphError
from ..graph.receptive import ReceptiveField
from ..progress import SILENT, Progress
from ..spec import ModelCard

# Channels change nothing about which pixels a label sees, so the network is built as thin as it can be.
THIN = 0.05


def field_of(source: str, card: ModelCard | None, progress: Progress = SILENT) -> ReceptiveField:
    """What the model in `source` needs around a label.

    Of an .onnx file its graph is read. An engine or a checkpoint holds none, and the network of `card` is built.

    Raises:
        GraphError: the graph cannot be cut into tiles, or cannot be read; or `source` has neither graph nor card.
        UnknownNameError, RecipeError, ExportError: the card's network cannot be built.
    """
    from ..graph.state import load_graph

    if Path(source).suffix.lower() == ".onnx":
        return ReceptiveField(load_graph(Path(source)))
    if card is None:
        raise GraphError(
            f"{source} holds no model card, so nothing tells which pixels a label depends on; tiles need a model that "
            "fcn-deploy exported or built"
        )
    return field_of_card(card, progress)


def field_of_card(card: ModelCard, progress: Progress = SILENT) -> ReceptiveField:
    """What the network of `card` needs around a label; its weights are not looked at. Errors as for `field_of`."""
    from ..graph.trace import trace
    from ..models.registry import build

    with progress.task("tracing the network for its receptive field", None):
        return ReceptiveField(trace(build(replace(card, options={**card.options, "width": THIN}))))
