"""Weights and their model card: loading any recognised checkpoint, writing our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fcn_deploy.card import CARD_KEY, ModelCard
from fcn_deploy.errors import CheckpointError, RecipeError, UnknownNameError
from fcn_deploy.models.check import check_finite, check_fit
from fcn_deploy.models.demo import DEMO, demo_path
from fcn_deploy.models.identify import open_weights
from fcn_deploy.models.registry import build, entry
from fcn_deploy.models.transfer import Transfer, load_weights_into
from fcn_deploy.models.weights_file import read_weights
from fcn_deploy.recipe import is_recipe, load_recipe, resolve_checkpoint
from fcn_deploy.system.files import atomic_path
from fcn_deploy.system.progress import SILENT, Progress

__all__ = ["DEMO", "Transfer", "demo_path", "load_model", "load_weights_into", "save_model"]


def load_model(
    path: Path,
    *,
    model: str | None = None,
    classes: Sequence[str] | None = None,
    checkpoint: Path | None = None,
    progress: Progress = SILENT,
) -> tuple[nn.Module, ModelCard]:
    """Load a network and its card, in evaluation mode, on the CPU; the weights stay mapped from the file.

    Args:
        path: a checkpoint of any known convention, or a recipe (.toml), whose facts then go into the card.
        model: what the file holds, where its keys leave a choice (fcn8s-caffe or fcn8s-atonce-caffe).
        classes: class names; without them the card's, VOC's for 21 classes, else class_0, class_1, ...
        checkpoint: where the weights of a recipe are, if not beside it or in the current folder.
        progress: is told which model was taken where the keys leave a choice and `model` does not make it.

    Raises:
        UnknownNameError: no model is named `model`.
        RecipeError: the recipe is malformed.
        CheckpointError: the file cannot be read, is not recognised, or does not fit `model` or `classes`.
    """
    path = Path(path)
    if not is_recipe(path):
        return _load(path, model, classes, progress)
    recipe = load_recipe(path)
    weights = resolve_checkpoint(recipe, checkpoint)
    network, card = _load(weights, model or recipe.model, classes or recipe.classes, progress)
    return network, replace(card, **recipe.card_changes())


def save_model(path: Path, model: nn.Module, card: ModelCard) -> None:
    """Write the weights of `model` with `card` inside, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {CARD_KEY: card.to_json()})


def _load(
    path: Path, model: str | None, classes: Sequence[str] | None, progress: Progress
) -> tuple[nn.Module, ModelCard]:
    if model is not None:
        entry(model)  # a mistyped name is told before a large file is read
    card, tensors = open_weights(read_weights(path), path, model, classes, progress)
    network = _empty(card, path)
    check_fit(network, card.model, tensors, path)
    check_finite(tensors, path)
    _hold(network, tensors)
    return network, card


def _empty(card: ModelCard, path: Path) -> nn.Module:
    """The network without memory: no time goes into initial weights that are then replaced."""
    try:
        with torch.device("meta"):
            return build(card)
    except (RecipeError, UnknownNameError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _hold(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Let the network have `tensors` themselves, not copies."""
    network.load_state_dict(tensors, assign=True)
