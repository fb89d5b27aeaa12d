"""Read TOML files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from fcn_deploy.system.apart import reads
from fcn_deploy.system.files import require_plain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file in UTF-8; OSError where no plain file can be read, ValueError for no TOML."""
    reads(path)
    tables: dict[str, Any] = tomllib.loads(require_plain(path).read_text(encoding="utf-8"))
    return tables
