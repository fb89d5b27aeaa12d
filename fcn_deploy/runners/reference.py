"""The PyTorch network that an artefact stands for, rebuilt from the artefact alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import GraphError

if TYPE_CHECKING:
    from torch import nn

    from ..spec import ModelCard

DEMO = "demo"


def load_reference(source: str) -> tuple[nn.Module, ModelCard]:
    """The network and the card of "demo", of an exported .onnx (its weights are inside) or of any checkpoint file.

    Raises:
        CheckpointError, GraphError: the file cannot be read or is not one that holds such a network.
    """
    if source == DEMO:
        from ..models.checkpoints import demo_path, load_model

        return load_model(demo_path())
    if Path(source).suffix.lower() == ".onnx":
        return _from_onnx(Path(source))
    from ..models.checkpoints import load_model

    return load_model(Path(source))


def _from_onnx(path: Path) -> tuple[nn.Module, ModelCard]:
    from ..graph.state import read_card, read_state_dict
    from ..models.registry import build

    card = read_card(path)
    model = build(card)
    try:
        model.load_state_dict(read_state_dict(path))
    except RuntimeError as error:
        lines = " ".join(str(error).split())
        raise GraphError(f"{path}: its weights do not fit the {card.model} of its model card: {lines[:300]}") from error
    return model.eval(), card
