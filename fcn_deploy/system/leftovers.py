"""What a killed run leaves behind: temporary files and folders of results that were being written."""

from __future__ import annotations

import os
from pathlib import Path

from fcn_deploy.system.files import remove_temporary, written_as


def remove_leftovers(target: Path) -> None:
    """Remove temporary files and folders below `target`; another run that is writing there now would fail."""
    for parent, folders, files in os.walk(target):
        for name in filter(written_as, (*files, *folders)):
            remove_temporary(Path(parent, name))
        folders[:] = [name for name in folders if not written_as(name)]
