"""Look into a file without running it: ONNX, an engine, an engine's sidecar, a checkpoint or a recipe."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError
from fcn_deploy.inspection.engine import EngineFile, inspect_engine, inspect_sidecar
from fcn_deploy.model_file import file_of, is_sidecar, kind_of, require_file
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import StrPath, reading, sha256
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.plain import plain

if TYPE_CHECKING:
    from fcn_deploy.inspection.onnx import OnnxFile


@dataclass(frozen=True)
class CheckpointFile:
    """A network's card and size."""

    card: ModelCard
    parameters: int
    tensors: int


@dataclass(frozen=True)
class Inspection:
    """A file and what is in it.

    Attributes:
        path: of the file that was looked into: for a sidecar with its engine next to it, the engine.
        kind: "onnx", "engine", "sidecar" or "checkpoint".
    """

    path: Path
    kind: str
    file_bytes: int
    sha256: str
    found: OnnxFile | EngineFile | CheckpointFile

    @property
    def faults(self) -> tuple[str, ...]:
        """The reasons not to use the file."""
        return self.found.faults if isinstance(self.found, EngineFile) else ()

    def to_plain(self) -> dict[str, Any]:
        """Return everything that was found as JSON holds it; an engine's sidecar as its file has it."""
        from fcn_deploy.inspection.onnx import OnnxFile

        result: dict[str, Any] = plain(self)
        if isinstance(self.found, OnnxFile) and self.found.audit is not None:
            result["found"]["audit"] = self.found.audit.to_plain()
        return {**result, "faults": list(self.faults)}


def inspect(file: StrPath, *, progress: Progress = SILENT) -> Inspection:
    """Look into a file without running it.

    Args:
        file: an ONNX file, an engine or its sidecar, a checkpoint, a recipe or "demo".

    Returns:
        Size, SHA-256 and what the file takes, gives and holds; its `faults` speak against using it.

    Raises:
        GraphError, EngineError, CheckpointError, RecipeError: missing, damaged, or of another kind.

    Example:
        >>> import fcn_deploy
        >>> found = fcn_deploy.inspect("demo")
        >>> found.kind, found.found.card.num_classes, found.faults
        ('checkpoint', 8, ())
    """
    source = os.fspath(file)
    path = file_of(source)
    with reading(path, GraphError):
        require_file(source, sidecar_alone=True)
        with progress.task(f"reading {path.name}", None):
            return _inspect(source, path, progress)


def _inspect(source: str, path: Path, progress: Progress) -> Inspection:
    kind, size, digest = kind_of(source), path.stat().st_size, sha256(path)
    if is_sidecar(path):
        return Inspection(path, "sidecar", size, digest, inspect_sidecar(path))
    if kind == "engine":
        return Inspection(path, "engine", size, digest, inspect_engine(path, digest))
    if kind != "onnx":
        return Inspection(path, "checkpoint", size, digest, _checkpoint(source, progress))
    from fcn_deploy.inspection.onnx import inspect_onnx

    return Inspection(path, "onnx", size, digest, inspect_onnx(path))


def _checkpoint(source: str, progress: Progress) -> CheckpointFile:
    with ModelSource(source, progress) as model:
        network, card = model.network()
    state = network.state_dict()
    return CheckpointFile(card, sum(parameter.numel() for parameter in network.parameters()), len(state))
