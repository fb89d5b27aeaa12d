"""A folder that may not be entered, also for the superuser."""

from __future__ import annotations

import errno
import os
import pathlib
import sys
from pathlib import Path
from typing import Any

import pytest


def lock(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the system refuse to look at anything below `folder`, as it does without the right to enter it."""
    real = os.stat

    def stat(path: Any, *args: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(f"{folder}{os.sep}"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(os, "stat", stat)
    if sys.version_info < (3, 11):  # there pathlib has taken os.stat over when it was imported
        monkeypatch.setattr(pathlib._NormalAccessor, "stat", staticmethod(stat))
