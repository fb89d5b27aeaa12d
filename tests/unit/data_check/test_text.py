"""A check as text."""

from __future__ import annotations

from collections import Counter

from rich.console import Console

from fcn_deploy.data.survey import LabelCounts
from fcn_deploy.data_check.check import DataReport
from fcn_deploy.data_check.text import render


def shown(report):
    console = Console(width=80)
    with console.capture() as capture:
        console.print(render(report))
    return " ".join(capture.get().split())


def test_sizes_shares_and_problems_are_shown():
    counts = LabelCounts(("sky", "road"), Counter({0: 75, 1: 20}), Counter({0: 2, 1: 1}), Counter({255: 5}), 2)
    sizes = Counter({(3, side): 1 for side in range(1, 8)})
    text = shown(DataReport("photos", 2, counts, sizes, ["a note"], [f"file {index}" for index in range(7)]))
    assert "photos: 2 images, 2 label maps" in text
    assert "1 x 3 (1 image), 2 x 3 (1 image)" in text
    assert "and 2 other sizes" in text
    assert "0 sky 75 % 2 1 road 20 % 1 unlabelled 5 %" in text
    assert "a note 5 % of the pixels are 255, which is unlabelled" in text
    assert "problem: file 4 and 2 more problems (--json has all)" in text


def test_a_set_of_images_alone_has_no_table():
    text = shown(DataReport("photos", 1, LabelCounts(()), Counter({(3, 4): 1})))
    assert text == "photos: 1 image, 0 label maps sizes: 4 x 3 (1 image), width x height no problem found"


def test_remarks_keep_the_last_line_from_sounding_like_a_pass():
    counts = LabelCounts(("road", "car"), Counter({0: 8}), Counter({0: 1}), maps=1)
    report = DataReport("photos", 1, counts, Counter({(2, 4): 1}))
    assert "car has no pixel" in shown(report)
    assert shown(report).endswith("no problem found; check the remarks above")


def test_without_class_names_only_the_values_that_occur_are_listed():
    counts = LabelCounts(tuple(map(str, range(256))), Counter({0: 3, 255: 1}), Counter({0: 1, 255: 1}), maps=1)
    text = shown(DataReport("photos", 1, counts, Counter({(2, 2): 1}), named=False))
    assert "images with it ─" in text.replace("─" * 2, "─")
    assert "0 75 % 1 255 25 % 1 no problem found" in text
