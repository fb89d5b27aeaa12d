"""Plots of a record: axes, marks and what is left out."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from fcn_deploy.benchmark.record.types import Cell
from fcn_deploy.benchmark.report.cells import cell_views
from fcn_deploy.benchmark.report.plots.classes import MOST, class_plots
from fcn_deploy.benchmark.report.plots.latency import latency_plot
from fcn_deploy.benchmark.report.plots.scale import Scale, centred, from_zero, positive
from fcn_deploy.benchmark.report.plots.sizes import size_plots
from fcn_deploy.benchmark.report.plots.svg import element, marker, shorten
from fcn_deploy.benchmark.report.plots.tradeoff import Place, _free, _overlap, tradeoff_plot, unbeaten
from fcn_deploy.benchmark.report.sheets import cells_sheet
from tests.support.bench_records import RECORD, REFERENCE, ROWS, WORSE, latency, with_rows


def test_text_and_attributes_are_escaped_and_underscores_become_hyphens():
    assert element("text", "a<b", text_anchor='"', class_="x") == '<text text-anchor="&#34;" class="x">a&lt;b</text>'
    assert element("g", element("i"), x=1.0, y=2.346) == '<g x="1" y="2.35"><i></i></g>'


def test_a_scale_maps_its_ends_and_a_logarithmic_one_its_middle():
    assert Scale(0, 10, 100, 0)(2.5) == 75
    scale = Scale(1, 100, 0, 200, log=True)
    assert scale(10) == pytest.approx(100)


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 10, 0, 1), [0, 2, 4, 6, 8, 10]),
        (Scale(0.93, 1.31, 0, 1), [1.0, 1.1, 1.2, 1.3]),
        (Scale(7, 75, 0, 1, log=True), [10, 20, 50]),
        (Scale(0.5, 5000, 0, 1, log=True), [1, 10, 100, 1000]),
        (Scale(-0.5, 0.5, 0, 1), [-0.4, -0.2, 0, 0.2, 0.4]),
    ],
)
def test_ticks_are_round_and_few(scale, ticks):
    assert scale.ticks() == pytest.approx(ticks)


def test_times_that_lie_far_apart_are_drawn_by_their_ratios():
    assert positive([10, 31], 0, 1).log
    assert not positive([10, 29], 0, 1).log
    assert positive([], 0, 1).high > positive([], 0, 1).low
    assert positive([5.0], 0, 1).low < 5 < positive([5.0], 0, 1).high


def test_a_hundredth_of_a_point_is_not_drawn_as_tall_as_a_point():
    narrow = centred([58.34, 58.35], 0, 1, least=1.0)
    assert narrow.high - narrow.low == pytest.approx(1.0)
    assert (from_zero([], 0, 1).low, from_zero([200], 0, 1).low) == (0, 0)


def test_rows_that_are_slower_and_no_better_are_beaten():
    places = [Place("a", 0, 60, 58.4), Place("b", 1, 20, 58.4), Place("c", 2, 9, 58.0), Place("d", 3, 9, 57.0)]
    assert [place.name for place in unbeaten(places)] == ["c", "b"]


def test_names_beside_marks_cover_neither_marks_nor_each_other():
    taken = [(93.0, 93.0, 107.0, 107.0)]
    for _ in range(8):
        taken.append(_free(100, 100, 80, taken, 360))
    pairs = [(a, b) for index, a in enumerate(taken) for b in taken[index + 1 :]]
    assert not any(_overlap(a, b) for a, b in pairs)


def test_without_ground_truth_speed_stands_against_agreement():
    rows = tuple(replace(row, accuracy=None) for row in ROWS)
    drawn = tradeoff_plot(replace(with_rows(*rows), reference=replace(RECORD.reference, accuracy=None)))
    assert "labels as the reference&#39;s, %" in drawn
    assert "onnxruntime 10.0 ms, 99.999 %" in drawn  # 20 ms for 2 images
    assert tradeoff_plot(with_rows(*ROWS[2:])) is None


def test_rounds_beyond_the_axis_are_counted():
    times = (17,) * 199 + (170,)
    row = replace(ROWS[1], latency=latency(times))
    drawn = latency_plot(replace(with_rows(row), rounds=(0,) * 200))
    assert "1 round beyond, up to 173 →" in drawn
    assert "beyond" not in latency_plot(
        replace(with_rows(replace(row, latency=latency((17,) * 200))), rounds=(0,) * 200)
    )


def test_few_rounds_are_drawn_one_by_one_and_not_as_a_density():
    assert 'class="area"' not in latency_plot(RECORD)
    many = replace(ROWS[1], latency=latency(tuple(17 + index % 7 for index in range(40))))
    assert latency_plot(replace(with_rows(many), rounds=(0,) * 40)).count('class="area"') == 1


def test_each_class_shows_what_it_gains_or_loses():
    reference, change = class_plots(RECORD)
    assert "road 90.0; pole 90.9" in reference
    assert "road -40.00; pole -24.24" in change
    unchanged = class_plots(with_rows(ROWS[0], replace(ROWS[1], accuracy=REFERENCE)))[1]
    assert "No class changed." in unchanged
    assert "<rect" not in unchanged


def test_of_too_many_classes_those_that_changed_most_are_drawn():
    size = MOST + 5
    before = tuple(tuple(100 * (i == j) for j in range(size)) for i in range(size))
    after = tuple(
        tuple(100 * (i == j) - (40 * (i == j) - 40 * (j == 0)) * (i == size - 1) for j in range(size))
        for i in range(size)
    )
    accuracy = [replace(REFERENCE, overall=counts, boundary=counts) for counts in (before, after)]
    record = replace(
        with_rows(replace(ROWS[0], accuracy=accuracy[0]), replace(ROWS[1], accuracy=accuracy[1])),
        data=replace(RECORD.data, classes=tuple(f"class{index}" for index in range(size))),
        reference=replace(RECORD.reference, accuracy=accuracy[0]),
    )
    change = class_plots(record)[1]
    assert change.count("<rect") == MOST
    assert f"class{size - 1} -40.00" in change


CELLS = tuple(
    Cell((batch, height, width), latency((batch * 10, batch * 10, batch * 10)), accuracy=REFERENCE)
    for height, width in ((66, 94), (33, 47))
    for batch in (4, 1)
)


def test_sizes_go_to_the_right_with_a_picture_for_each_batch():
    record = with_rows(replace(ROWS[0], cells=CELLS), ROWS[2])
    titles = [re.search("<title>(.*?)</title>", plot)[1] for plot in size_plots(record)]
    assert titles == ["ms an image, batch 1", "ms an image, batch 4", "mIoU, %"]
    assert "pytorch: 33x47 13.0, 66x94 13.0." in size_plots(record)[0]
    assert "pytorch: 33x47 10.8, 66x94 10.8." in size_plots(record)[1]  # (40 + 3) / 4
    assert size_plots(RECORD) == []


def test_a_cell_is_a_row_of_its_own_size_compared_with_the_reference_of_that_size():
    slower = tuple(replace(cell, latency=latency((23, 23, 23)), accuracy=WORSE) for cell in CELLS if cell.shape[0] == 1)
    record = with_rows(replace(ROWS[0], cells=CELLS), replace(ROWS[1], cells=slower))
    assert [(shape, row.runner) for shape, _, row in cell_views(record)][:3] == [
        ((1, 33, 47), "pytorch"),
        ((1, 33, 47), "onnxruntime"),
        ((4, 33, 47), "pytorch"),
    ]
    # 13 ms against 26, 90.45 % against 58.33
    assert cells_sheet(record).rows[1] == (
        "onnxruntime", "33x47", "1", "26.0", "26.0", "38.5", "-", "0.50", "-", "58.33", "-32.12",
    )  # fmt: skip
    # (100 + 3 x 12) ms would not be a picture of the data set's own sizes
    assert cells_sheet(record).rows[0][3] == "13.0"


def test_a_row_of_other_rounds_is_not_divided_by_the_reference():
    short = replace(CELLS[3], latency=latency((20, 20)))
    record = with_rows(replace(ROWS[0], cells=CELLS), replace(ROWS[1], cells=(short,)))
    assert cells_sheet(record).rows[1][7] == "-"


def test_marks_differ_in_shape_and_repeat_only_with_another_colour():
    assert len({re.search(r' d="([^"]+)"', marker(0, 0, series))[1] for series in range(4)}) == 4
    assert "s4" in marker(0, 0, 4)
    assert shorten("a" * 30, 5) == "aaaa…"
    assert not math.isnan(marker(0, 0, 9).count("s1"))
