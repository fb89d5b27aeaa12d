"""Differences between a row and the reference, as a record holds them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fcn_deploy.benchmark.record.measurement import Frame
from fcn_deploy.benchmark.record.summary import class_changes, mean_change, most_changed
from fcn_deploy.benchmark.report.details import detail_sheets
from tests.support.bench_records import RECORD, REFERENCE, ROWS, WORSE, remeasured


def test_without_the_counts_of_each_image_there_is_a_difference_and_no_interval():
    change = mean_change(REFERENCE, WORSE)
    assert change.value == pytest.approx(100 * ((0.5 + 100 / 150) / 2 - (0.9 + 100 / 110) / 2))
    assert (change.low, change.high) == (None, None)
    one_side = mean_change(REFERENCE, replace(WORSE, by_image=(((25, 25), (0, 50)),) * 2))
    assert one_side.low is None


def test_the_reference_and_rows_without_truth_have_no_changes_by_class():
    assert class_changes(RECORD, ROWS[0]) == ()
    assert class_changes(RECORD, ROWS[3]) == ()
    assert class_changes(replace(RECORD, reference=None), ROWS[1]) == ()


def test_frames_that_changed_most_come_first_and_unchanged_ones_not_at_all():
    frames = tuple(Frame(f"{agreed}.png", agreed, 100) for agreed in (99, 100, 50, 98, 97, 96, 95))
    row = remeasured(ROWS[1], frames=frames)
    assert [frame.agreed for frame in most_changed(row)] == [50, 95, 96, 97, 98]
    sheet = detail_sheets(replace(RECORD, rows=(ROWS[0], row)))[-1]
    assert sheet.rows[:2] == (("onnxruntime", "50.png", "50.000"), ("", "95.png", "95.000"))
