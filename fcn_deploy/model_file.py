"""Decide what kind of model a name means: the demo, a checkpoint, a recipe, an ONNX file or an engine.

This is the only module that looks at the suffix or the first bytes of a model file to decide its kind.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Literal

from fcn_deploy.errors import CheckpointError, EngineError, FcnDeployError, GraphError, RecipeError, did_you_mean
from fcn_deploy.system.apart import reads
from fcn_deploy.system.files import check_name

Kind = Literal["demo", "checkpoint", "recipe", "onnx", "engine"]
CheckpointFormat = Literal["safetensors", "zip", "pickle"]

DEMO = "demo"
DEMO_CHECKPOINT = Path(__file__).parent / "demo" / "demo.safetensors"
RECIPES = Path(__file__).parent / "recipes"
KINDS = "an .onnx file, an engine, a checkpoint, a recipe (.toml), or demo"
CHECKPOINTS = (".safetensors", ".pth", ".pt")
SIDECAR = ".json"
SUFFIXES: dict[str, Kind] = {
    **dict.fromkeys(CHECKPOINTS, "checkpoint"),
    ".toml": "recipe",
    ".onnx": "onnx",
    **dict.fromkeys((".engine", ".plan", ".trt", SIDECAR), "engine"),
}
# The error of a file of this kind that cannot be read.
ERRORS: dict[Kind, type[FcnDeployError]] = {"onnx": GraphError, "engine": EngineError, "recipe": RecipeError}
# The first bytes of the plans of TensorRT for RTX and of TensorRT.
RTX_TAG, TENSORRT_TAG = b"vtrt", b"ftrt"
# Fields that may follow `ir_version` in a serialized ModelProto: names, version, doc, graph, opsets, metadata.
ONNX_FIELDS = frozenset(b"\x12\x1a\x22\x28\x32\x3a\x42\x72")
MOST_IR_VERSION = 31
HEAD_BYTES = 512


def kind_of(source: str | os.PathLike[str]) -> Kind:
    """Tell the kind of `source` by its content, else by its suffix in any case of letters.

    A file that neither identifies counts as a checkpoint: the reader of checkpoints says what it found instead. An
    engine's sidecar (.json) counts as the engine, and so does a file of unknown content and suffix that has a sidecar.
    """
    if os.fspath(source) == DEMO:
        return "demo"
    path = Path(source)
    kind = _kind_by_content(path) or SUFFIXES.get(path.suffix.lower())
    if kind is None and _is_file(path) and _is_file(path.with_name(f"{path.name}{SIDECAR}")):
        return "engine"
    return kind or "checkpoint"


def require_file(source: str | os.PathLike[str], *, sidecar_alone: bool = False) -> None:
    """Raise the error of its kind (`ERRORS`, else CheckpointError) if `source` names no file.

    The message names models in the same folder that it may have been meant for.

    Args:
        sidecar_alone: whether a sidecar will do where its engine is missing.
    """
    path = file_of(source)
    check_name(path)
    if _is_file(path):
        reads(path, path.with_name(f"{path.name}{SIDECAR}"))
        if is_sidecar(path) and kind_of(path) == "engine" and not sidecar_alone:
            engine = path.with_suffix("")
            raise EngineError(f"{path} describes the engine {engine.name}, which is missing next to it; copy it there")
        return
    raise ERRORS.get(kind_of(source), CheckpointError)(_absence(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # below a folder that may not be entered, up to Python 3.13
        return False


def _absence(path: Path) -> str:
    """Say why `path` is no file that can be read."""
    try:
        if path.is_symlink() and not path.exists():
            return f"{path} is a link to {path.readlink()}, which does not exist"
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not path.parent.is_dir():
            return f"{path} does not exist: there is no folder {path.parent}"
        return f"{path} does not exist{near_models(path) or f'; expected {KINDS}'}"
    except OSError as error:
        return f"cannot read {path}: {(error.strerror or str(error)).lower()}"
    return f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}; expected {KINDS}"


def near_models(path: Path) -> str:
    """Return "; did you mean A or B?" of models in the folder of `path`; "" if none has a name like it."""
    try:
        beside = [
            entry.name
            for entry in path.parent.iterdir()
            if entry.suffix.lower() in (*SUFFIXES, ".bin", ".ckpt", ".tar")
        ]
    except OSError:  # a folder that may not be listed
        return ""
    if _may_be_shipped(path.with_suffix(path.suffix or ".toml")):
        beside += [shipped.name for shipped in RECIPES.glob("*.toml")]
    longer = [name for name in beside if name.startswith(f"{path.name}-")]  # vgg16-imagenet.toml for vgg16
    return did_you_mean(path.name, longer or beside, cutoff=0.1 if longer else 0.75)


def file_of(source: str | os.PathLike[str]) -> Path:
    """Return the file that `source` names.

    That is the demo's checkpoint for "demo", the engine for a sidecar next to one, and a recipe of this package for its
    name ("fcn8s-voc.toml") where the current folder has no such file.
    """
    path = DEMO_CHECKPOINT if os.fspath(source) == DEMO else Path(source)
    if not is_sidecar(path):
        shipped = _may_be_shipped(path) and not _is_file(path) and _is_file(RECIPES / path)
        return RECIPES / path if shipped else path
    described = path.with_suffix("")
    return described if _is_file(described) and kind_of(described) == "engine" else path


def _may_be_shipped(path: Path) -> bool:
    """Tell whether `path` is a name without a folder that a recipe of this package could have."""
    return path.suffix == ".toml" and path.parent == Path()


def is_sidecar(path: Path) -> bool:
    """Tell whether `path` is the JSON file next to an engine."""
    return path.suffix.lower() == SIDECAR


def checkpoint_format(head: bytes) -> CheckpointFormat | None:
    """Tell how a checkpoint with these first bytes is stored; None if it is no checkpoint."""
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return "safetensors"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    return "pickle" if head[:1] == b"\x80" else None


def is_onnx(head: bytes) -> bool:
    """Tell whether these first bytes are those of a serialized ModelProto: an IR version, then another field."""
    return len(head) > 2 and head[0] == 8 and head[1] <= MOST_IR_VERSION and head[2] in ONNX_FIELDS


def _kind_by_content(path: Path) -> Kind | None:
    try:
        if not path.is_file():  # a pipe would wait for a writer
            return None
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:  # whoever opens it says why it cannot be read
        return None
    if head[:4] in (RTX_TAG, TENSORRT_TAG):
        return "engine"
    if checkpoint_format(head) is not None:
        return "checkpoint"
    return "onnx" if is_onnx(head) else None
