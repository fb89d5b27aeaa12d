"""Python processes that this one starts."""

from __future__ import annotations

import os
import sys


def child_environment(**more: str) -> dict[str, str]:
    """The environment of a child that finds the modules which this process finds; `more` is added to it."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} | more
