"""The kinds of hostile attempts: each module here has one or several in its `KINDS`, and is found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from tests.hostile.kind import Kind


@cache
def all_kinds() -> dict[str, Kind]:
    """Return the kinds of all modules by name, in the order of the modules' names."""
    found = [
        kind
        for module in sorted(info.name for info in pkgutil.iter_modules(__path__))
        for kind in importlib.import_module(f"{__name__}.{module}").KINDS
    ]
    kinds = {kind.name: kind for kind in found}
    assert len(kinds) == len(found), "two kinds of one name"
    return kinds
