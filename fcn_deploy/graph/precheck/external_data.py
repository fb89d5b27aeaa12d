"""Find the files that hold an ONNX file's weights: one rule for all commands and libraries.

The name in the file is relative to the ONNX file's folder and stays in it. What that folder holds under the name may be
a link, as in the cache of Hugging Face, whose snapshots are links into `blobs/`; its target must be a plain file.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from fcn_deploy.errors import GraphError
from fcn_deploy.system.scratch import scratch_folder

_NUMBER = re.compile(r"[0-9]{1,19}")
FIX = "save the model again with its data file next to it"


class DataPart(NamedTuple):
    """Where the data of one tensor lies, as the ONNX file says it: a file's name, and text or None for numbers."""

    location: str
    offset: str | None
    length: str | None


def data_path(path: Path, location: str) -> Path:
    """Return the plain file that `location` of the ONNX file `path` means, links followed.

    Raises:
        GraphError: a name that leaves the file's folder, no such file, or one that is no plain file.
    """
    shown = repr(location[:100])
    parts = PurePosixPath(location).parts
    absolute = location.startswith(("/", "\\")) or bool(PureWindowsPath(location).drive)
    if not location or "\0" in location or absolute or ".." in (*parts, *PureWindowsPath(location).parts):
        raise GraphError(f"{path}: its external data is in {shown}, outside the file's folder; {FIX}")
    found = path.parent / location
    try:
        mode = found.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise GraphError(
            f"{path}: its external data cannot be read: {found}: {reason.lower()}; the data file must be next to it, "
            "whole"
        ) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
        raise GraphError(f"{path}: its external data cannot be read: {found} is {kind}, not a file; {FIX}")
    if not os.access(found, os.R_OK):
        raise GraphError(f"{path}: its external data cannot be read: {found}: permission denied")
    return Path(os.path.realpath(found))


def check_part(path: Path, name: str, part: DataPart, nbytes: int | None) -> Path:
    """Return the file that holds a tensor's data.

    Args:
        path: the ONNX file; name: of the tensor, for the message.
        nbytes: that the tensor's type and dims need; None where they do not say.

    Raises:
        GraphError: as `data_path`, or the file is too short, or the numbers in the ONNX file are not what the tensor
            needs.
    """
    data = data_path(path, part.location)
    offset = _number(path, name, "offset", part.offset)
    length = _number(path, name, "length", part.length) if part.length else nbytes
    if nbytes is not None and length != nbytes:
        raise GraphError(
            f"{path} is damaged: {name} needs {nbytes} bytes by its type and dims, and its external data has {length}; "
            "export it again"
        )
    size, end = data.stat().st_size, offset + (length or 0)
    if size < end:
        raise GraphError(
            f"{path}: its external data cannot be read: {path.parent / part.location} must hold {end} bytes for "
            f"{name}, found {size} bytes; the data file must be next to it, whole"
        )
    return data


@contextmanager
def without_links(path: Path, files: Mapping[str, Path]) -> Iterator[Path]:
    """Yield `path`, or a temporary copy of it without links where its data files are links: OpenVINO refuses those.

    Args:
        files: what `scan` returned of `path`.
    """
    if all(file == Path(os.path.realpath(path.parent), name) for name, file in files.items()):
        yield path
        return
    with scratch_folder() as folder:
        for name, file in {path.name: path, **files}.items():
            copy = Path(folder, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(os.path.realpath(file), copy)
            except OSError:  # of another file system
                shutil.copyfile(file, copy)
        yield Path(folder, path.name)


def _number(path: Path, name: str, what: str, text: str | None) -> int:
    if not text:
        return 0
    if not _NUMBER.fullmatch(text):
        raise GraphError(
            f"{path} is damaged: the {what} of {name}'s external data is {text[:40]!r}, expected a number of bytes; "
            "export it again"
        )
    return int(text)
