"""The README's figures are those of the newest records."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from benchmarks.figures import current, figure

RECORD = {
    "rows": [
        {"question": "a size", "ours": "mine", "median_ms": {"theirs": 200.0, "mine": 50.0}},
        {"question": "<another>", "ours": "mine", "median_ms": {"theirs": 100.0, "mine": 25.0}},
    ]
}


@pytest.mark.parametrize("path", current(), ids=lambda path: path.name)
def test_each_figure_says_what_its_newest_record_says(path):
    assert path.read_text(encoding="utf-8") == current()[path], "run `make docs`"


def test_bars_are_as_long_as_their_times_the_fastest_first_and_ours_in_colour():
    drawn = figure(RECORD)
    ElementTree.fromstring(drawn)
    widths = [float(width) for width in re.findall(r'width="([\d.]+)" height="16"', drawn)]
    assert widths[1] == pytest.approx(4 * widths[0], abs=0.05)
    assert widths[2] == pytest.approx(widths[0] / 2, abs=0.05)
    assert re.findall(r'<g class="s(\d)">', drawn) == ["1", "0", "1", "0"]
    assert "&lt;another&gt;" in drawn


def test_a_figure_carries_its_own_colours_for_both_themes():
    drawn = figure(RECORD)
    assert "prefers-color-scheme:dark" in drawn
    assert "<script" not in drawn
