"""Decide what kind of model a name stands for: the demo, a checkpoint, a recipe, an ONNX file or an engine.

This is the only module that looks at the suffix or the first bytes of a model file to tell its kind.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["demo", "checkpoint", "recipe", "onnx", "engine"]
CheckpointFormat = Literal["safetensors", "zip", "pickle"]

DEMO = "demo"
KINDS = "an .onnx file, an engine, a checkpoint, a recipe (.toml), or demo"
CHECKPOINTS = (".safetensors", ".pth", ".pt")
SIDECAR = ".json"
SUFFIXES: dict[str, Kind] = {
    **dict.fromkeys(CHECKPOINTS, "checkpoint"),
    ".toml": "recipe",
    ".onnx": "onnx",
    **dict.fromkeys((".engine", ".plan", ".trt", SIDECAR), "engine"),
}
# The first bytes of the plans of TensorRT for RTX and of TensorRT.
RTX_TAG, TENSORRT_TAG = b"vtrt", b"ftrt"
# Fields that may follow `ir_version` in a serialized ModelProto: names, version, doc, graph, opsets, metadata.
ONNX_FIELDS = frozenset(b"\x12\x1a\x22\x28\x32\x3a\x42\x72")
MOST_IR_VERSION = 31
HEAD_BYTES = 512


def kind_of(source: str | Path) -> Kind:
    """Tell the kind of `source` by its suffix in any case of letters, else by its content.

    A file that neither identifies counts as a checkpoint: the reader of checkpoints says what it found instead. An
    engine's sidecar (.json) counts as the engine.
    """
    if str(source) == DEMO:
        return "demo"
    path = Path(source)
    return SUFFIXES.get(path.suffix.lower()) or _kind_by_content(path)


def file_of(source: str | Path) -> Path:
    """Return the file that `source` names: the demo's checkpoint for "demo", the engine for a sidecar next to one."""
    path = demo_path() if str(source) == DEMO else Path(source)
    described = path.with_suffix("")
    return described if is_sidecar(path) and described.is_file() and kind_of(described) == "engine" else path


def demo_path() -> Path:
    """Return the checkpoint that ships with the package."""
    return Path(__file__).parent / "demo" / "demo.safetensors"


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


def _kind_by_content(path: Path) -> Kind:
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        has_sidecar = path.with_name(f"{path.name}{SIDECAR}").is_file()
    except OSError:  # whoever opens it says why it cannot be read
        return "checkpoint"
    if head[:4] in (RTX_TAG, TENSORRT_TAG):
        return "engine"
    if checkpoint_format(head) is not None:
        return "checkpoint"
    return "onnx" if is_onnx(head) else "engine" if has_sidecar else "checkpoint"
