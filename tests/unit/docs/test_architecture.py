"""docs/architecture.md agrees with the folders that exist, their first lines, and the import rows."""

from __future__ import annotations

import re

from fcn_deploy.cli.main import cli
from tests.support import folder_table
from tests.unit.test_project import PACKAGE, ROWS

TEXT = folder_table.PAGE.read_text(encoding="utf-8")


def test_the_table_of_folders_is_that_of_the_package_and_its_import_rows():
    assert folder_table.table() in TEXT, "run `make docs`, or `python -m tests.support.folder_table`"


def test_every_folder_is_in_a_row():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - set().union(*ROWS) == {"demo"}


def test_every_folder_has_a_first_line():
    assert [line for line in folder_table.table().splitlines() if line.endswith("|  |")] == []


def test_every_command_has_its_folder():
    named = dict(re.findall(r"^\| `fcn-deploy ([a-z-]+)` \|.*\| `(\w+)/` \|$", TEXT, re.MULTILINE))
    assert set(named) == set(cli.list_commands(None))
    assert [folder for folder in named.values() if not (PACKAGE / folder).is_dir()] == []
