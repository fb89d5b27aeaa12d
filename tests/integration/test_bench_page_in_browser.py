"""The page of a benchmark in a real browser, on a desk and on a phone, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fcn_deploy.benchmark.report.html import render_html
from tests.support.bench_records import RECORD
from tests.support.browser import PROGRAM, Browser
from tests.unit.benchmark.report.test_html import frames, with_sizes

pytestmark = [pytest.mark.long, pytest.mark.skipif(PROGRAM is None, reason="no Chromium or Chrome on PATH")]

DESK, PHONE = 1200, 390
CLASSES = ("road", "a class with a name as long as nobody gives")
# Letters of plots that lie outside their drawing, or outside the screen.
LETTERS_OUTSIDE = """[...document.querySelectorAll("figure svg text")].filter(letters => {
  const own = letters.getBoundingClientRect(), all = letters.ownerSVGElement.getBoundingClientRect();
  return own.left < all.left - 1 || own.right > all.right + 1 || own.right > innerWidth + 1;
}).map(letters => letters.textContent)"""
OPEN_ALL = """document.querySelectorAll("details:not(.zoom)").forEach(part => { part.open = true })"""
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
PAPER = "getComputedStyle(document.body).backgroundColor"
PICTURES = """[...document.images].map(picture => picture.complete && picture.naturalWidth > 0)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    record = replace(with_sizes(), data=replace(RECORD.data, name="/data/" + "x" * 120, classes=CLASSES))
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(record, frames("y" * 120 + ".png", CLASSES)), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE])
def test_nothing_overflows_is_cut_off_or_asked_for_elsewhere(browser, page, width, scheme):
    browser.open(page, width, scheme=scheme)
    browser.value(OPEN_ALL)
    assert browser.value(OVERFLOW) <= 0
    assert browser.value(LETTERS_OUTSIDE) == []
    assert browser.value(PICTURES) == [True] * 4  # truth, reference, row, difference; the photograph lies behind them
    assert browser.complaints() == []
    assert browser.requests() == [page.resolve().as_uri()]


def test_the_page_follows_the_theme_of_the_system(browser, page):
    papers = []
    for scheme in ("light", "dark"):
        browser.open(page, PHONE, scheme=scheme)
        papers.append(browser.value(PAPER))
    assert papers == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]


def test_a_wide_table_can_be_scrolled_and_its_first_column_stays(browser, page):
    browser.open(page, PHONE)
    # the table of speed is wider than a phone; its box scrolls and the page does not
    assert browser.value("document.querySelector('.scroll').scrollWidth") > PHONE
    before = browser.value("document.querySelector('tbody th').getBoundingClientRect().left")
    browser.value("document.querySelector('.scroll').scrollLeft = 200")
    assert browser.value("document.querySelector('.scroll').scrollLeft") == 200
    assert browser.value("document.querySelector('tbody th').getBoundingClientRect().left") == before


def test_the_browser_reports_overflow_of_letters_outside_and_of_a_request(browser, page, tmp_path):
    """The same questions of a page that is wrong in each of these ways."""
    broken = tmp_path / "broken.html"
    fault = '<div style="width:900px">wide</div><img src="https://example.invalid/x.png">'
    letters = '<figure><svg viewBox="0 0 10 10"><text x="9" y="5">far to the right</text></svg></figure>'
    broken.write_text(page.read_text(encoding="utf-8").replace("<main>", f"<main>{fault}{letters}"), encoding="utf-8")
    browser.open(broken, PHONE)
    assert browser.value(OVERFLOW) > 0 or browser.value("document.documentElement.scrollWidth") > PHONE
    assert "far to the right" in browser.value(LETTERS_OUTSIDE)
    assert any("Content Security Policy" in line for line in browser.complaints())
    assert False in browser.value(PICTURES)
