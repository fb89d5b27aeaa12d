"""Read tensors from a file without executing anything in it, and say plainly why one cannot be read."""

from __future__ import annotations

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from fcn_deploy.errors import CheckpointError, first_line
from fcn_deploy.model_file import checkpoint_format, is_onnx, require_file
from fcn_deploy.system.files import reading

WRAPPERS = ("state_dict", "model_state_dict", "model")  # where training scripts keep the state dict
PREFIXES = ("module.", "_orig_mod.")  # DataParallel's and torch.compile's
TRUNCATED = "is truncated: it ends before its contents do; fetch or copy it again"


@dataclass(frozen=True)
class Weights:
    """What a file holds: tensors by name, and the text that stands beside them (safetensors' metadata)."""

    tensors: dict[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_weights(path: Path) -> Weights:
    """Read a state dict, memory-mapped where the format allows, floating point as float32.

    The format is told from the content: safetensors, PyTorch's zip or PyTorch's format of before 2020. Wrappers
    (`{"state_dict": ...}`) and the prefix of DataParallel are taken off.

    Raises:
        CheckpointError: missing, a folder, empty, truncated, holding code, or no checkpoint at all.
    """
    path = Path(path)
    with reading(path, CheckpointError):
        require_file(path)
        with path.open("rb") as stream:
            head = stream.read(512)
        form = checkpoint_format(head)
        if form == "safetensors":
            return _read_safetensors(path)
        if form == "zip":
            _check_archive(path)
        if form is not None:
            return Weights(_read_pickled(path, mmap=form == "zip"))
    if not head:
        raise CheckpointError(f"{path} is empty; fetch or copy it again")
    raise CheckpointError(f"{path} is no checkpoint: {_what_it_is(head)}; expected a .safetensors, .pth or .pt file")


def _read_safetensors(path: Path) -> Weights:
    size = path.stat().st_size
    with path.open("rb") as stream:
        header_bytes = int.from_bytes(stream.read(8), "little")
        header_text = stream.read(header_bytes)
    if len(header_text) < header_bytes:
        raise CheckpointError(f"{path} {TRUNCATED}")
    try:
        header = json.loads(header_text)
        end = max((entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"), default=0)
        if size < 8 + header_bytes + end:
            raise CheckpointError(f"{path} {TRUNCATED}")
        with safetensors.safe_open(path, framework="pt", device="cpu") as archive:
            tensors = {name: _as_float32(archive.get_tensor(name)) for name in archive.keys()}  # noqa: SIM118
            return Weights(tensors, dict(archive.metadata() or {}))
    except CheckpointError:
        raise
    except Exception as error:  # foreign bytes: whatever a damaged header makes the parsers raise, the file is at fault
        raise CheckpointError(f"{path} is no readable safetensors file: {printable(first_line(error))}") from error


def _check_archive(path: Path) -> None:
    try:
        if not zipfile.is_zipfile(path):
            raise CheckpointError(f"{path} {TRUNCATED}")
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
    except CheckpointError:
        raise
    except Exception as error:  # foreign bytes: zipfile raises many kinds on a damaged table of contents
        raise CheckpointError(f"{path} is damaged ({printable(first_line(error))}); fetch or copy it again") from error
    if "constants.pkl" in names:
        raise CheckpointError(
            f"{path} is a TorchScript archive, which holds code that is never executed; save its state_dict() instead"
        )
    if "data.pkl" not in names:
        raise CheckpointError(f"{path} is no checkpoint: a zip archive that PyTorch did not write")


def _what_it_is(head: bytes) -> str:
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "it is a web page (a download that went to a log-in or an error page)"
    if text.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer (run `git lfs pull`)"
    if head.startswith(b"\x89HDF"):
        return "it is an HDF5 file (Keras)"
    if is_onnx(head):
        return "it is an ONNX graph, already exported"
    return f"it starts with {head[:8]!r}"


def _read_pickled(path: Path, *, mmap: bool) -> dict[str, Tensor]:
    try:
        with torch.serialization.safe_globals(_numpy_numbers()), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickle protocols; what cannot be read is an error below
            return _state_dict(torch.load(path, map_location="cpu", weights_only=True, mmap=mmap), path)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(_pickle_message(path, str(error))) from error
    except Exception as error:  # foreign bytes: a damaged pickle can make its reader raise anything
        if re.search(r"EOF|ran out of input|corrupted|PytorchStreamReader|truncated|end of file", f"{error}", re.I):
            raise CheckpointError(f"{path} {TRUNCATED}") from error
        raise CheckpointError(f"{path} is no readable checkpoint: {printable(first_line(error))}") from error


def _numpy_numbers() -> list[Any]:
    """Return what unpickles NumPy scalars (a best score next to the weights): constructors that run nothing."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    dtypes = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)}
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *dtypes]


def _pickle_message(path: Path, reason: str) -> str:
    found = re.search(r"(?:GLOBAL|global|class|function)\s+([\w.]*\.[\w.]+)", reason)
    if found or "Unsupported" in reason:
        name = f" ({found.group(1)})" if found else ""
        return f"{path} holds code{name}, which is never executed; save its state_dict() instead"
    if "EOF" in reason:
        return f"{path} {TRUNCATED}"
    return f"{path} is no readable checkpoint: {printable(first_line(reason))}"


def printable(text: str) -> str:
    """Return `text` from a file as one line that any terminal can show."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _state_dict(loaded: Any, path: Path) -> dict[str, Tensor]:
    """Return the tensors of a state dict, out of its wrappers and without its prefixes."""
    for wrapper in WRAPPERS * 2:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path} holds a {type(loaded).__name__}, not a state dict of named tensors")
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    if not tensors:
        found = printable(", ".join(str(key) for key in list(loaded)[:5])) or "nothing"
        raise CheckpointError(f"{path} holds no tensors (found {found}); looked into {', '.join(WRAPPERS)} too")
    for key, value in tensors.items():
        if value.layout is not torch.strided or value.is_meta:
            kind = "meta" if value.is_meta else value.layout
            raise CheckpointError(f"{path}: {printable(key)} is a {kind} tensor; save dense tensors with their values")
    for prefix in PREFIXES * 2:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return {name: _as_float32(value) for name, value in tensors.items()}


def _as_float32(tensor: Tensor) -> Tensor:
    return tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
