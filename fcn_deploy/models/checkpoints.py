"""Weights and their model card: loading any recognised checkpoint, writing our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import CheckpointError, RecipeError
from ..files import atomic_path
from ..spec import CARD_KEY, ModelCard, class_names, voc_palette
from .registry import build, entry
from .weights_file import Weights, read_weights

DEMO = "demo"


def demo_path() -> Path:
    """The checkpoint that ships with the package."""
    return Path(__file__).parent.parent / "demo" / "demo.safetensors"


def load_model(
    path: Path, *, model: str | None = None, classes: Sequence[str] | None = None
) -> tuple[nn.Module, ModelCard]:
    """Load a network and its card from a checkpoint, in evaluation mode, on the CPU.

    Raises:
        UnknownNameError: no model is named `model`.
        CheckpointError: the file cannot be read, is not recognised, or does not fit `model` or `classes`.
    """
    if model is not None:
        entry(model)
    weights = read_weights(path)
    card = _own_card(weights, path)
    if model is not None and model != card.model:
        raise CheckpointError(f"{path} holds {card.model}, not {model}")
    if classes is not None:
        card = _with_classes(card, classes, path)
    return _assemble(card, weights.tensors), card


def save_model(path: Path, model: nn.Module, card: ModelCard) -> None:
    """Write the weights of `model` with `card` inside, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {CARD_KEY: card.to_json()})


def _own_card(weights: Weights, path: Path) -> ModelCard:
    if CARD_KEY not in weights.metadata:
        raise CheckpointError(f"{path} has no model card")
    try:
        return ModelCard.from_json(weights.metadata[CARD_KEY])
    except RecipeError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _with_classes(card: ModelCard, classes: Sequence[str], path: Path) -> ModelCard:
    if len(classes) != card.num_classes:
        raise CheckpointError(f"{path} holds {card.num_classes} classes, but {len(classes)} class names were given")
    return replace(card, classes=class_names(classes), palette=voc_palette(card.num_classes))


def _assemble(card: ModelCard, tensors: dict[str, Tensor]) -> nn.Module:
    """Build the network without memory of its own and let it hold `tensors` themselves."""
    with torch.device("meta"):
        model = build(card)
    model.load_state_dict(tensors, assign=True)
    return model
