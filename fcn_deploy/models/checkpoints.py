"""Load any recognised checkpoint with its model card, and write our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fcn_deploy.card import CARD_KEY, ModelCard
from fcn_deploy.errors import CheckpointError, RecipeError, UnknownNameError
from fcn_deploy.models.check import check_finite, check_fit
from fcn_deploy.models.identify import open_weights
from fcn_deploy.models.registry import build, entry
from fcn_deploy.models.weights_file import read_weights
from fcn_deploy.system.files import atomic_path
from fcn_deploy.system.progress import SILENT, Progress


def load_checkpoint(
    path: Path, model: str | None = None, classes: Sequence[str] | None = None, progress: Progress = SILENT
) -> tuple[nn.Module, ModelCard]:
    """Load the network of a checkpoint file, in evaluation mode, on the CPU, and its card; see `load_network`.

    Raises:
        UnknownNameError: no model is named `model`.
        CheckpointError: the file cannot be read, is not recognised, or does not fit `model` or `classes`.
    """
    if model is not None:
        entry(model)  # report a mistyped name before a large file is read
    card, tensors = open_weights(read_weights(path), path, model, classes, progress)
    network = _empty(card, path)
    check_fit(network, card.model, tensors, path)
    check_finite(tensors, path)
    _assign_tensors(network, tensors)
    return network, card


def save_model(path: Path, model: nn.Module, card: ModelCard) -> None:
    """Write the weights of `model` with `card` inside, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {CARD_KEY: card.to_json()})


def _empty(card: ModelCard, path: Path) -> nn.Module:
    """Return the network without memory: no time goes into initial weights that are then replaced."""
    try:
        with torch.device("meta"):
            return build(card)
    except (RecipeError, UnknownNameError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _assign_tensors(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Let the network have `tensors` themselves, not copies."""
    network.load_state_dict(tensors, assign=True)
