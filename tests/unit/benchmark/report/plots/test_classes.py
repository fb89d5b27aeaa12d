"""The plot of what each class gains or loses."""

from __future__ import annotations

import re
from dataclasses import replace

from fcn_deploy.benchmark.report.plots.classes import MOST, class_plots
from tests.support.bench_records import RECORD, REFERENCE, ROWS, WORSE, remeasured, with_rows


def test_each_class_shows_what_it_gains_or_loses():
    reference, change = class_plots(RECORD)
    assert "road 90.0; pole 90.9" in reference
    assert "road -40.00; pole -24.24" in change
    unchanged = class_plots(with_rows(ROWS[0], remeasured(ROWS[1], accuracy=REFERENCE)))[1]
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
        with_rows(remeasured(ROWS[0], accuracy=accuracy[0]), remeasured(ROWS[1], accuracy=accuracy[1])),
        data=replace(RECORD.data, classes=tuple(f"class{index}" for index in range(size))),
        reference=replace(RECORD.reference, accuracy=accuracy[0]),
    )
    change = class_plots(record)[1]
    assert change.count("<rect") == MOST
    assert f"class{size - 1} -40.00" in change


def test_all_changes_have_one_axis():
    half = replace(WORSE, overall=((80, 20), (0, 100)))
    _, large, small = class_plots(with_rows(*ROWS[:2], replace(remeasured(ROWS[1], accuracy=half), runner="openvino")))
    ticks = [re.findall(r'class="faint small" text-anchor="middle">([^<]+)<', plot) for plot in (large, small)]
    assert ticks[0] == ticks[1]
    assert "-40" in ticks[0]
