"""Look into a file without running it: ONNX, an engine, an engine's sidecar, a checkpoint or a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError
from fcn_deploy.inspection.engine import EngineFile, inspect_engine, inspect_sidecar
from fcn_deploy.models.demo import named_file
from fcn_deploy.system.files import reading, sha256
from fcn_deploy.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from fcn_deploy.inspection.onnx import OnnxFile

ENGINES, CHECKPOINTS = (".engine", ".plan", ".trt"), (".safetensors", ".pth", ".pt", ".toml")
KINDS = "an ONNX file, an engine, its sidecar, a checkpoint or a recipe"


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
        path: of the file that was looked into: for a sidecar with its engine beside it, the engine.
        kind: "onnx", "engine", "sidecar" or "checkpoint".
    """

    path: Path
    kind: str
    file_bytes: int
    sha256: str
    found: OnnxFile | EngineFile | CheckpointFile

    @property
    def faults(self) -> tuple[str, ...]:
        """What stands against using the file."""
        return self.found.faults if isinstance(self.found, EngineFile) else ()


def inspect(source: str, progress: Progress = SILENT) -> Inspection:
    """Look into `source`, a file or "demo"; what it is follows from its name, for a plan from its first bytes.

    Raises:
        GraphError, EngineError, CheckpointError, RecipeError: missing, damaged, or nothing that this can read.
    """
    path = Path(named_file(source))
    with reading(path, GraphError):
        if not path.is_file():
            raise GraphError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; give {KINDS}")
        with progress.task(f"reading {path.name}", None):
            return _inspect(path)


def _inspect(path: Path) -> Inspection:
    suffix, engine = path.suffix.lower(), path.with_suffix("")
    if suffix == ".json" and engine.is_file() and engine.suffix.lower() in ENGINES:
        path, suffix = engine, engine.suffix.lower()
    size, digest = path.stat().st_size, sha256(path)
    if suffix == ".json":
        return Inspection(path, "sidecar", size, digest, inspect_sidecar(path))
    if suffix in ENGINES or _is_plan(path):
        return Inspection(path, "engine", size, digest, inspect_engine(path, digest))
    if suffix in CHECKPOINTS:
        return Inspection(path, "checkpoint", size, digest, _checkpoint(path))
    from fcn_deploy.inspection.onnx import inspect_onnx

    return Inspection(path, "onnx", size, digest, inspect_onnx(path))


def _is_plan(path: Path) -> bool:
    from fcn_deploy.engine.header import read_header

    return read_header(path) is not None


def _checkpoint(path: Path) -> CheckpointFile:
    from fcn_deploy.models.checkpoints import load_model

    network, card = load_model(path)
    state = network.state_dict()
    return CheckpointFile(card, sum(parameter.numel() for parameter in network.parameters()), len(state))
