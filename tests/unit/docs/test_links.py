"""Links and pictures between the pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.pages import DOCS, PAGES

# [text](target) and ![text](target), without addresses of other places and parts of this page.
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)#]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_every_picture_says_what_it_shows(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for _, _, target in links if not (page.parent / target).exists()] == []
    assert [target for picture, text, target in links if picture and len(text) < 20] == []


# [text](page.md#part) and [text](#part)
PART = re.compile(r"\[[^\]]*\]\((?![a-z]+:)([^)#]*)#([^)]+)\)")


def _parts(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_part_of_a_page_leads_to_a_heading(page):
    found = PART.findall(page.read_text(encoding="utf-8"))
    assert [(name, part) for name, part in found if part not in _parts((page.parent / name) if name else page)] == []


def test_links_lead_from_the_readme_to_every_page():
    reached, open_pages = set(), [ROOT / "README.md"]
    while open_pages:
        page = open_pages.pop()
        reached.add(page)
        linked = {(page.parent / target).resolve() for target in _targets(page) if target.endswith(".md")}
        open_pages += linked - reached
    assert [str(page.relative_to(ROOT)) for page in DOCS if page not in reached] == []


def _targets(page: Path) -> list[str]:
    return [target for _, _, target in LINK.findall(page.read_text(encoding="utf-8"))]
