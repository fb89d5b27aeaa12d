"""The pages for readers: README, CONTRIBUTING, docs/ and the benchmarks' page."""

from __future__ import annotations

from tests.support import ROOT

DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *DOCS]
