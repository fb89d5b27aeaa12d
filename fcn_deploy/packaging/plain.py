"""Return a model of a Triton repository as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SCHEMA = 1


def to_plain(folder: Path) -> dict[str, Any]:
    """Return what `package` wrote as JSON holds it; files are relative to the repository."""
    repository = folder.parent
    files = sorted(str(path.relative_to(repository)) for path in folder.rglob("*") if path.is_file())
    return {"schema": SCHEMA, "kind": "package", "repository": str(repository), "name": folder.name, "files": files}
