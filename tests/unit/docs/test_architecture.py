"""docs/architecture.md agrees with the folders that exist, their first lines, and the import rows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from fcn_deploy.cli.main import cli
from tests.support import ROOT
from tests.unit.test_project import PACKAGE, ROWS

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def _first_line(module: Path) -> str:
    return (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").split("\n")[0]


def _folders(part: str) -> list[Path]:
    """The folder or module `part` and the folders in it, in alphabetical order."""
    folder = PACKAGE / part
    return sorted(path.parent for path in folder.rglob("__init__.py")) if folder.is_dir() else [folder]


def _row(number: int, path: Path) -> str:
    name = str(path.relative_to(PACKAGE))
    if path.is_dir():
        return f"| {number} | `{name}/` | {_first_line(path / '__init__.py')} |"
    return f"| {number} | `{name}.py` | {_first_line(path.with_suffix('.py'))} |"


def _table() -> list[str]:
    """The table of folders as the page must have it: the highest row of imports first."""
    return [
        _row(number, path)
        for number, parts in enumerate(reversed(ROWS), start=1)
        for part in sorted(parts)
        for path in _folders(part)
    ]


def test_the_table_of_folders_is_that_of_the_package_and_its_import_rows():
    found = re.findall(r"^\| \d+ \| `.*\|$", PAGE, re.MULTILINE)
    assert found == _table(), "docs/architecture.md needs these rows:\n" + "\n".join(_table())


def test_every_folder_is_in_a_row():
    parts = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert parts - set().union(*ROWS) == {"demo"}


def test_every_command_has_its_folder():
    named = dict(re.findall(r"^\| `fcn-deploy ([a-z-]+)` \|.*\| `(\w+)/` \|$", PAGE, re.MULTILINE))
    assert set(named) == set(cli.list_commands(None))
    assert [folder for folder in named.values() if not (PACKAGE / folder).is_dir()] == []
