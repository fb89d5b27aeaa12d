"""What a killed run leaves behind: temporary files and folders of results that were being written."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)  # as files.atomic_path and write_bytes name them


def remove_leftovers(target: Path) -> None:
    """Remove temporary files and folders below `target`; another run that is writing there now would fail."""
    for parent, folders, files in os.walk(target):
        for name in filter(_TEMPORARY.fullmatch, files):
            with suppress(OSError):
                Path(parent, name).unlink()
        for name in [name for name in folders if _TEMPORARY.fullmatch(name)]:
            shutil.rmtree(Path(parent, name), ignore_errors=True)
            folders.remove(name)
