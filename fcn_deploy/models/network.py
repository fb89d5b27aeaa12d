"""The PyTorch network that an artefact stands for, rebuilt from the artefact alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fcn_deploy.models.demo import DEMO, named_file
from fcn_deploy.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from torch import nn

    from fcn_deploy.card import ModelCard

__all__ = ["DEMO", "load_reference"]


def load_reference(
    source: str,
    *,
    model: str | None = None,
    classes: Sequence[str] | None = None,
    checkpoint: Path | None = None,
    progress: Progress = SILENT,
) -> tuple[nn.Module, ModelCard]:
    """The network, in evaluation mode, and the card of `source`.

    Args:
        source: "demo", an exported .onnx (its weights are inside), any checkpoint file, or a recipe (.toml).
        model: what a checkpoint that does not say so holds; the card inside any other source must agree.
        classes: class names, as many as the source has; they win over those in its card.
        checkpoint: where the weights of a recipe are, if not beside it or in the current folder.
        progress: is told which model was taken where a checkpoint leaves a choice and `model` does not make it.

    Raises:
        UnknownNameError: no model is named `model`.
        CheckpointError, GraphError: the file cannot be read, or does not hold such a network or so many classes.
    """
    if Path(source).suffix.lower() == ".onnx":
        return _from_onnx(Path(source), model, classes)
    from fcn_deploy.models.checkpoints import load_model

    return load_model(named_file(source), model=model, classes=classes, checkpoint=checkpoint, progress=progress)


def _from_onnx(path: Path, model: str | None, classes: Sequence[str] | None) -> tuple[nn.Module, ModelCard]:
    from fcn_deploy.graph.load import card_of, hold_weights, load_graph
    from fcn_deploy.models.identify import as_asked
    from fcn_deploy.models.registry import build

    graph = load_graph(path)
    card = as_asked(card_of(graph, path), path, model, classes)
    network = build(card)
    hold_weights(network, graph, path)
    return network.eval(), card
