"""Links and pictures between the pages lead somewhere."""

from __future__ import annotations

import re

import pytest

from tests.support import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *(ROOT / "docs").glob("*.md")]
# [text](target) and ![text](target), without addresses of other places and parts of this page.
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)#]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_every_picture_says_what_it_shows(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for _, _, target in links if not (page.parent / target).exists()] == []
    assert [target for picture, text, target in links if picture and len(text) < 20] == []


def test_the_readme_leads_to_every_page():
    linked = {target for _, _, target in LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))}
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked
