"""Load the PyTorch network of a model file: a checkpoint, a recipe, an exported ONNX file or the demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fcn_deploy.errors import EngineError, GraphError
from fcn_deploy.model_file import file_of, kind_of, require_file
from fcn_deploy.recipe import load_recipe, resolve_checkpoint
from fcn_deploy.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from torch import nn

    from fcn_deploy.card import ModelCard


def load_network(
    source: str | Path,
    *,
    model: str | None = None,
    classes: Sequence[str] | None = None,
    checkpoint: Path | None = None,
    weights: str | None = None,
    progress: Progress = SILENT,
) -> tuple[nn.Module, ModelCard]:
    """Load the network, in evaluation mode, on the CPU, and the card of `source`; weights stay mapped from the file.

    Args:
        source: "demo", an exported .onnx (its weights are inside), a checkpoint of any known convention, or a recipe
            (.toml), whose facts then go into the card.
        model: what a checkpoint that does not say so holds (fcn8s-caffe or fcn8s-atonce-caffe); the card inside any
            other source must agree.
        classes: class names, as many as the source has; else the card's, VOC's for 21 classes, or class_0, ...
        checkpoint: where the weights of a recipe are, if not next to it or in the current folder.
        weights: which state dict of a checkpoint: "model", "ema" (averaged) or a key path; None takes a recipe's, else
            those that are not averaged.
        progress: reports what was chosen in a checkpoint, and what was left out.

    Raises:
        UnknownNameError: no model is named `model`.
        RecipeError: the recipe is malformed.
        CheckpointError, GraphError, EngineError: the file cannot be read, or holds no such network or other classes.
    """
    require_file(source)
    kind, path = kind_of(source), file_of(source)
    if kind == "engine":
        raise EngineError(
            f"{path} is an engine, which holds no PyTorch network; give the checkpoint or the .onnx file behind it"
        )
    if kind == "onnx":
        return _from_onnx(path, model, classes)
    from fcn_deploy.models.checkpoints import load_checkpoint

    if kind != "recipe":
        return load_checkpoint(path, model, classes, weights, progress)
    recipe = load_recipe(path)
    network, card = load_checkpoint(
        resolve_checkpoint(recipe, checkpoint),
        model or recipe.model,
        classes or recipe.classes,
        weights or recipe.weights,
        progress,
    )
    return network, replace(card, **recipe.card_changes())


def refuse_foreign(card: ModelCard, path: Path) -> None:
    """Raise GraphError for a network of another tool: PyTorch cannot build it."""
    if card.is_foreign:
        raise GraphError(
            f"{path} was adopted from another tool, so PyTorch has no network of it; run it with onnxruntime, openvino "
            "or tensorrt"
        )


def _from_onnx(path: Path, model: str | None, classes: Sequence[str] | None) -> tuple[nn.Module, ModelCard]:
    from fcn_deploy.graph.load import load_graph, load_weights, require_card
    from fcn_deploy.models.checkpoints import with_requested_names
    from fcn_deploy.models.registry import build

    graph = load_graph(path)
    refuse_foreign(require_card(graph, path), path)
    card = with_requested_names(require_card(graph, path), path, model, classes)
    network = build(card)
    load_weights(network, graph, path)
    return network.eval(), card
