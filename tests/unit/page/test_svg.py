"""The SVG elements that every plot is made of."""

from __future__ import annotations

import re

import pytest

from fcn_deploy.page.svg import DARK, LIGHT, element, fitted, marker, shorten, width_of


def test_text_and_attributes_are_escaped_and_underscores_become_hyphens():
    assert element("text", "a<b", text_anchor='"', class_="x") == '<text text-anchor="&#34;" class="x">a&lt;b</text>'
    assert element("g", element("i"), x=1.0, y=2.346) == '<g x="1" y="2.35"><i></i></g>'


def test_marks_differ_in_shape_and_repeat_only_with_another_colour():
    assert len({re.search(r' d="([^"]+)"', marker(0, 0, series))[1] for series in range(4)}) == 4
    assert "s4" in marker(0, 0, 4)
    assert shorten("a" * 30, 5) == "aaaa…"
    # the ninth is the first one's shape and colour, hollow
    assert [marker(0, 0, series).count("again") for series in (0, 7, 8, 15, 16)] == [0, 0, 1, 1, 0]
    assert "s1" in marker(0, 0, 9)


def test_the_middle_of_a_name_that_is_too_wide_is_left_out():
    assert fitted("onnxruntime", 100) == "onnxruntime"
    cut = fitted("a very long file name onnxruntime:int8", 150)
    assert width_of(cut) <= 150 < width_of(cut) + 7
    assert cut.startswith("a very")
    assert cut.endswith("me:int8")
    assert fitted("車" * 30, 50).count("車") == 3  # letters of East Asia are twice as wide
    assert fitted("abc", 1) == "…c"


def _colours(theme: str) -> dict[str, str]:
    return dict(part.split(":") for part in theme.split(";"))


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 has it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_letters_and_lines_stand_out_from_the_paper(theme):
    colours = _colours(theme)
    paper = _luminance(colours["--paper"])
    needed = {"--ink": 7, "--faint": 4.5} | {f"--s{index}": 3 for index in range(8)}
    for name, least in needed.items():
        pair = sorted((paper, _luminance(colours[name])))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= least, name
