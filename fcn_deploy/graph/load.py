"""Load an ONNX file, its model card, and its weights under their state-dict names."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from fcn_deploy.card import CARD_KEY, ModelCard
from fcn_deploy.errors import GraphError, OutputError, one_line, restated
from fcn_deploy.graph.card_fit import check_card_fits
from fcn_deploy.graph.complete import check_complete, check_order, check_versions
from fcn_deploy.graph.nodes import CONTRACT_PREFIX
from fcn_deploy.graph.precheck.scan import scan
from fcn_deploy.graph.precheck.stored_types import metadata_keys
from fcn_deploy.graph.weights import catch_weight_errors, follow_links
from fcn_deploy.system.serialization.decode import decode, parse_json

if TYPE_CHECKING:
    import torch

# Metadata: JSON list of the state-dict keys that the inference graph does not need (an auxiliary head, counters).
UNUSED_KEY = "fcn_deploy.unused_weights"
# Metadata of a file that `fcn-deploy quantize` wrote: "fp16", "int8" or "int8+fp16".
PRECISION_KEY = "fcn_deploy.precision"
# Initializers that the exporter made; all others are weights, or the contract's.
CONSTANT_PREFIX = "const/"
# What onnx_ir's passes meet on the way would be printed with tracebacks; what matters is raised.
logging.getLogger("onnx_ir").addHandler(logging.NullHandler())


def load_graph(path: Path, *, show: bool = False) -> ir.Model:
    """Read an ONNX file; weights in external data stay on disk until they are used. `show` is that of `scan`.

    Raises:
        GraphError: what `scan`, ONNX's reader or `check_complete` refuses, versions of ONNX that the installed onnx
            does not know, or a graph that runs in a circle.
        RecipeError: the model card inside is malformed.
    """
    files = scan(path, show=show)
    try:
        model = ir.load(path)
    except Exception as error:
        raise GraphError(
            f"{path} cannot be read as ONNX ({type(error).__name__}: {one_line(error)}); export or copy it again"
        ) from error
    follow_links(model, files)
    check_versions(model, path)
    check_order(model, path)
    check_complete(model, path)
    card = find_card(model, path)
    if card is not None:
        check_card_fits(card, model, path)
    return model


def read_card(path: Path) -> ModelCard:
    """Return the model card in an ONNX file's metadata.

    Raises:
        GraphError: not ONNX, or exported by another tool (no card inside).
        RecipeError: the card is malformed.
    """
    return require_card(load_graph(path), path)


def require_card(model: ir.Model, path: Path) -> ModelCard:
    """Return the model card of a loaded graph; `path` is for the message."""
    card = find_card(model, path)
    if card is None:
        raise GraphError(f"{path} holds no model card; `fcn-deploy adopt` writes one with it")
    return card


def find_card(model: ir.Model, path: Path) -> ModelCard | None:
    """Return the model card of the graph loaded from `path`; None if another tool exported it."""
    text = model.metadata_props.get(CARD_KEY)
    return None if text is None else ModelCard.from_json(text, path)


def unnamed_target(name: str) -> Path:
    """Return the file that is written where a user names none; OutputError if one of another tool is there."""
    path = Path(name)
    if os.path.lexists(path) and CARD_KEY not in metadata_keys(path):
        raise OutputError(f"{path} is there and has no model card of fcn-deploy; name the file to write (-o)")
    return path


def load_weights(model: torch.nn.Module, graph: ir.Model, path: Path) -> None:
    """Give `model` the weights of a loaded graph; `path` is for the messages.

    Raises:
        GraphError: a weight is missing, unexpected or of another shape (a graph that was rewritten).
    """
    precision = graph.metadata_props.get(PRECISION_KEY)
    if precision is not None:
        raise GraphError(
            f"{path} was rewritten to {precision} and no longer holds its FP32 weights, so PyTorch cannot run it; "
            "give the FP32 file that it was made from"
        )
    source = f"{path}: {UNUSED_KEY} cannot be read"
    text = graph.metadata_props.get(UNUSED_KEY, "[]")
    unused = decode(tuple[str, ...], parse_json(text, source, GraphError), source, GraphError)
    with catch_weight_errors(path):
        weights = _state_dict(graph)
    with restated(GraphError, RuntimeError, prefix=f"{path}: weights do not fit its model card: "):
        outcome = model.load_state_dict(weights, strict=False, assign=True)
    missing = sorted(set(outcome.missing_keys) - set(unused))
    if missing or outcome.unexpected_keys:
        raise GraphError(
            f"{path} does not hold the weights that its model card needs: {len(missing)} missing {missing[:3]}, "
            f"{len(outcome.unexpected_keys)} unexpected {outcome.unexpected_keys[:3]}"
        )


def _state_dict(graph: ir.Model) -> dict[str, torch.Tensor]:
    import torch

    stored = {name: value.const_value for name, value in graph.graph.initializers.items()}
    weights = {name: data for name, data in stored.items() if not name.startswith((CONTRACT_PREFIX, CONSTANT_PREFIX))}
    return {name: torch.from_numpy(np.array(data.numpy())) for name, data in weights.items() if data is not None}
