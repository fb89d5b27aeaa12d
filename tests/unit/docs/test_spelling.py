"""The pages have no known misspelling."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.pages import PAGES

pytest.importorskip("codespell_lib", reason="codespell comes with the extra dev")


def misspelt(*pages: Path) -> list[str]:
    command = [sys.executable, "-m", "codespell_lib", *map(str, pages)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()


def test_no_page_has_a_known_misspelling():
    assert misspelt(*PAGES, ROOT / "CHANGELOG.md") == []


def test_a_misspelling_is_found(tmp_path: Path):
    (tmp_path / "page.md").write_text("Calibrate with your own images, seperately.\n", encoding="utf-8")
    assert "seperately ==> separately" in "".join(misspelt(tmp_path / "page.md"))
