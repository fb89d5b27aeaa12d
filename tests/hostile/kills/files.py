"""Read what a run leaves: every file below a folder, outputs apart from what is being written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fcn_deploy.system.temporaries import target_of_temporary

Files = Mapping[str, bytes]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file below a folder; folders have none, and those of the attempts are left out."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in files:
            path = Path(parent, name)
            found[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() else b""
        for name in folders:
            found[str(Path(parent, name).relative_to(folder))] = b""
    return {name: data for name, data in found.items() if name not in ("out", "tmp", "home")}


def shown(files: Files) -> Files:
    """Return the outputs without what is being written."""
    return {
        name: data for name, data in files.items()
        if name.startswith("out/") and not is_hidden(name.removeprefix("out/"))
    }  # fmt: skip


def is_hidden(name: str) -> bool:
    return any(target_of_temporary(part) or part.startswith(".") for part in Path(name).parts)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for a command's attempts, in memory where the machine has such."""
    return tempfile.TemporaryDirectory(prefix="kills-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
