"""Read TOML files."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from fcn_deploy.system.apart import reads
from fcn_deploy.system.files import require_plain
from fcn_deploy.system.serialization.nesting import TOO_DEEP, check_nesting

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


MOST_DOTS = 1000  # of keys in a line: the time to read a.a.a grows with their square
_TEXT = re.compile(r"'[^']*(?:'|$)|\"(?:[^\"\\]|\\.?)*(?:\"|$)")  # always ends, so a line is gone through once


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file in UTF-8; OSError where no plain file can be read, ValueError for no TOML."""
    reads(path)
    try:
        text = require_plain(path).read_text(encoding="utf-8-sig")  # some editors write a byte order mark
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text in UTF-8, at byte {error.start}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > MOST_DOTS and _TEXT.sub("", line).count(".") > MOST_DOTS:
            raise ValueError(f"line {number} has more than {MOST_DOTS} dots; expected keys of a few parts")
    try:
        tables: dict[str, Any] = tomllib.loads(text)
        check_nesting(tables)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    return tables
