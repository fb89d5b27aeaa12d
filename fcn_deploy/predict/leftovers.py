"""What a killed run leaves behind: temporary folders of results that were being written."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")  # as files.atomic_path names them


def remove_leftovers(target: Path) -> None:
    """Remove temporary folders below `target`; another run that is writing there now would fail."""
    for parent, folders, _ in os.walk(target):
        for name in [name for name in folders if _TEMPORARY.fullmatch(name)]:
            shutil.rmtree(Path(parent, name), ignore_errors=True)
            folders.remove(name)
