"""Find the file that a rewritten file or an engine was made from: the reference that it lost with its weights."""

from __future__ import annotations

from pathlib import Path

from fcn_deploy.card import REWRITTEN_FROM, REWRITTEN_FROM_SHA256, ModelCard
from fcn_deploy.engine.sidecar import read_sidecar, sidecar_path
from fcn_deploy.model_file import DEMO_CHECKPOINT
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import sha256


def original_of(source: ModelSource, card: ModelCard | None) -> tuple[Path | None, str]:
    """Return the FP32 file, and its name; None where it is not there, "" where the file does not say.

    It is looked for next to the file and in the current folder, and recognised by its SHA-256.

    Raises:
        EngineError: the sidecar of an engine cannot be read.
    """
    name, digest = _noted(source, card)
    for path in (source.path.parent / name, Path(name), DEMO_CHECKPOINT) if name else ():
        if path.name == name and path.is_file() and sha256(path) == digest:
            return path, name
    return None, name


def _noted(source: ModelSource, card: ModelCard | None) -> tuple[str, str]:
    notes = {} if card is None else card.notes
    if REWRITTEN_FROM in notes:
        return Path(notes[REWRITTEN_FROM]).name, notes.get(REWRITTEN_FROM_SHA256, "")
    if source.kind == "engine" and sidecar_path(source.path).is_file():
        sidecar = read_sidecar(source.path)
        return Path(sidecar.onnx_name).name, sidecar.onnx_sha256
    return "", ""
