"""The plot of accuracy against speed."""

from __future__ import annotations

from dataclasses import replace

from fcn_deploy.benchmark.report.plots.tradeoff import Point, tradeoff_plot, unbeaten
from tests.support.bench_records import RECORD, ROWS, remeasured, with_rows


def test_rows_that_are_slower_and_no_better_are_beaten():
    places = [Point("a", 0, 60, 58.4), Point("b", 1, 20, 58.4), Point("c", 2, 9, 58.0), Point("d", 3, 9, 57.0)]
    assert [place.name for place in unbeaten(places)] == ["c", "b"]


def test_without_ground_truth_speed_is_plotted_against_agreement():
    rows = tuple(remeasured(row, accuracy=None) for row in ROWS)
    drawn = tradeoff_plot(replace(with_rows(*rows), reference=replace(RECORD.reference, accuracy=None)))
    assert "labels as the reference&#39;s, %" in drawn
    assert "onnxruntime 10.0 ms, 99.999 %" in drawn  # 20 ms for 2 images
    assert tradeoff_plot(with_rows(*ROWS[2:])) is None
