"""What an engine is built from, looked at once before anything is built."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.audit.arithmetic import has_quantisation
from fcn_deploy.card import ModelCard
from fcn_deploy.engine.builder.build import precision_of
from fcn_deploy.engine.sidecar import sidecar_path
from fcn_deploy.engine_build.profiles import DYNAMIC, Dims, fixed_dims
from fcn_deploy.errors import GraphError, OutputError
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.graph.sizes import image_input
from fcn_deploy.quantization.calibration.cache import graph_digest
from fcn_deploy.sources.model_source import ModelSource


@dataclass(frozen=True)
class BuildSource:
    """A model that is to become an engine.

    Attributes:
        sha256: of its files.
        card: None where the file has none. A recipe decides it beside the checkpoint, so `sha256` does not say it.
        fixed: dims of the image that the file fixes.
        graph: that of a file which is built as it is, for the builder to take out; else empty, because a graph is as
            large as its weights.
    """

    sha256: str
    card: ModelCard | None
    fixed: Dims
    graph: list[ir.Model] = field(default_factory=list)

    @property
    def card_sha256(self) -> str | None:
        return None if self.card is None else hashlib.sha256(self.card.to_json().encode()).hexdigest()


def check_target(target: Path, model: ModelSource) -> None:
    """Raise OutputError if the engine, or what stands beside it, would replace the model that it is built from."""
    for own in {Path(model.text), model.path}:
        for path in (target, sidecar_path(target)):
            if own.exists() and path.exists() and path.samefile(own):
                raise OutputError(f"{path} is the model itself, which the engine would replace; give -o another name")


def inspect_source(model: ModelSource, precision: str | None) -> BuildSource:
    """Read the source once.

    Args:
        precision: that the engine is asked to have; None for the file's own types.

    Raises:
        GraphError, CheckpointError, RecipeError: it is not there, or cannot be read.
    """
    if model.kind != "onnx":
        digest = model.digest()[0]  # says what is wrong with a source that is not there
        return BuildSource(digest, model.card(), DYNAMIC)
    graph = load_graph(model.path)
    _check_precision(graph, model.path, precision)
    kept = [graph] if precision in (None, "fp32") else []
    return BuildSource(graph_digest(model.path, graph), find_card(graph, model.path), fixed_dims(graph), kept)


def _check_precision(graph: ir.Model, path: Path, precision: str | None) -> None:
    """Raise GraphError for a network without an image, or one that is not FP32 where FP32 is asked for."""
    image_input(graph)
    half = any(value.dtype == ir.DataType.FLOAT16 for value in graph.graph.initializers.values())
    if precision == "fp32" and (half or has_quantisation(graph)):
        found = precision_of(graph, {"INT8": 1} if has_quantisation(graph) else {"FP16": 1})
        raise GraphError(f"{path} is an {found} file; leave --precision out to build it so, or give the FP32 file")
