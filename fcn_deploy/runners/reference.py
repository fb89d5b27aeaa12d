"""The PyTorch network that an artefact stands for, rebuilt from the artefact alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.demo import DEMO, named_file
from ..progress import SILENT, Progress

if TYPE_CHECKING:
    from torch import nn

    from ..spec import ModelCard

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
        model, classes: what a checkpoint that does not say so holds; the other sources have it in their card.
        checkpoint: where the weights of a recipe are, if not beside it or in the current folder.
        progress: is told which model was taken where a checkpoint leaves a choice and `model` does not make it.

    Raises:
        CheckpointError, GraphError: the file cannot be read or does not hold such a network.
    """
    if Path(source).suffix.lower() == ".onnx":
        return _from_onnx(Path(source))
    from ..models.checkpoints import load_model

    return load_model(named_file(source), model=model, classes=classes, checkpoint=checkpoint, progress=progress)


def _from_onnx(path: Path) -> tuple[nn.Module, ModelCard]:
    from ..graph.state import load_weights, read_card
    from ..models.registry import build

    card = read_card(path)
    network = build(card)
    load_weights(network, path)
    return network.eval(), card
