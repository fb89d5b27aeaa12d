"""Read tensors from a file without executing anything in it, and say plainly why one cannot be read."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors

from fcn_deploy.errors import CheckpointError, first_line
from fcn_deploy.model_file import checkpoint_format, is_onnx, require_file
from fcn_deploy.models.inert_pickle import read_pickle
from fcn_deploy.system.files import reading

# What no training script stores, and only an attack calls; a file that names it is not read at all.
_HOSTILE = re.compile(
    r"(os|posix|nt|sys|subprocess|socket|shutil|importlib|runpy|ctypes)\."
    r"|(builtins|__builtin__)\.(eval|exec|execfile|compile|open|__import__)$"
)
TRUNCATED = "is truncated: it ends before its contents do; fetch or copy it again"


@dataclass(frozen=True)
class Weights:
    """What a file holds.

    Attributes:
        content: tensors by name, or mappings that have such; of a damaged or foreign pickle anything.
        metadata: the text next to them (safetensors).
        code: classes and functions that the file names, none of which was imported.
    """

    content: Any
    metadata: Mapping[str, str] = field(default_factory=dict)
    code: tuple[str, ...] = ()


def read_weights(path: Path) -> Weights:
    """Read a file of weights, memory-mapped where the format allows.

    The format is recognised by the content: safetensors, PyTorch's zip or PyTorch's format of before 2020.

    Raises:
        CheckpointError: missing, a folder, empty, truncated, an attack, or no checkpoint at all.
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
            return _read_pickled(path, zipped=form == "zip")
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
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
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
    if head[257:262] == b"ustar":
        return "it is a tar archive (unpack it first)"
    if head.startswith(b"\x89HDF"):
        return "it is an HDF5 file (Keras)"
    if is_onnx(head):
        return "it is an ONNX graph, already exported"
    return f"it starts with {head[:8]!r}"


def _read_pickled(path: Path, *, zipped: bool) -> Weights:
    try:
        content, stubs = read_pickle(path, zipped=zipped)
    except Exception as error:  # foreign bytes: a damaged pickle can make its reader raise anything
        if isinstance(error, EOFError) or re.search(r"EOF|ran out of input|truncated|end of file", f"{error}", re.I):
            raise CheckpointError(f"{path} {TRUNCATED}") from error
        raise CheckpointError(f"{path} is no readable checkpoint: {printable(first_line(error))}") from error
    hostile = [stub for stub in stubs if _HOSTILE.match(stub)]
    if hostile:
        raise code_error(path, hostile[0])
    return Weights(content, {}, stubs)


def code_error(path: Path, name: str) -> CheckpointError:
    """Return the error of a file whose weights are out of reach behind the class or function `name`."""
    return CheckpointError(
        f"{path} holds code ({printable(name)}), which is never executed; save its state_dict() instead"
    )


def printable(text: str) -> str:
    """Return `text` from a file as one line that any terminal can show."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
