"""Keep the files that a benchmark makes for its rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fcn_deploy.errors import OutputError
from fcn_deploy.system.files import atomic_path, check_writable

EXTERNAL_DATA = ".data"


@dataclass(frozen=True)
class KeepFolder:
    """Where the files that are made for rows are kept; `force`: files that are there are replaced."""

    folder: Path
    force: bool = False

    def check(self, names: Iterable[str]) -> None:
        """Raise OutputError, before anything is made or measured, if a file is there or cannot be written."""
        wanted = [self.folder / name for name in dict.fromkeys(names)]
        there = [path for path in wanted if path.exists()]
        if there and not self.force:
            raise OutputError(f"{there[0]} exists; --force replaces it, or give --keep another folder")
        for path in wanted[:1]:
            check_writable(path)

    def keep(self, path: Path, name: str) -> Path:
        """Copy a file as `name`, with its sidecar or external data, whole or not at all; OutputError if that fails."""
        target = self.folder / name
        with atomic_path(target) as temporary:
            shutil.copyfile(path, temporary)
            for part in path.parent.glob(f"{path.name}.*"):
                # an ONNX file names its external data
                own = part.name if part.suffix == EXTERNAL_DATA else f"{name}{part.name.removeprefix(path.name)}"
                shutil.copyfile(part, temporary.with_name(own))
        return target
