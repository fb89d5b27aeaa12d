"""Render the table of folders in docs/architecture.md from the package's first lines and the import rows."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.support import ROOT
from tests.unit.test_project import PACKAGE, ROWS

PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- folders -->\n", "<!-- end -->"


def table() -> str:
    """Return one line per folder and per module of the top level, the highest row of imports first."""
    lines = [
        _line(number, path)
        for number, parts in enumerate(reversed(ROWS), start=1)
        for part in sorted(parts)
        for path in _folders(part)
    ]
    return "\n".join(["| row | folder | what it is for |", "|---|---|---|", *lines, ""])


def _folders(part: str) -> list[Path]:
    folder = PACKAGE / part
    if folder.is_dir():
        return sorted(path.parent for path in folder.rglob("__init__.py"))
    return [folder.with_suffix(".py")]


def _line(number: int, path: Path) -> str:
    name = path.relative_to(PACKAGE).as_posix()
    module, shown = (path / "__init__.py", f"{name}/") if path.is_dir() else (path, name)
    first_line = (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").split("\n")[0]
    return f"| {number} | `{shown}` | {first_line} |"


def main() -> None:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest[rest.index(END) :]
    PAGE.write_text(before + BEGIN + table() + after, encoding="utf-8")


if __name__ == "__main__":
    main()
