"""Accuracy figures of a row: regions, changes with intervals, the frames that changed most."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.fidelity import class_changes, mean_change, most_changed, regions
from fcn_deploy.benchmark.record.file import to_json
from fcn_deploy.benchmark.record.summary import fidelity
from fcn_deploy.benchmark.report.details import detail_sheets
from tests.support.bench_records import RECORD, REFERENCE, ROWS, WORSE


def counted(*matrices: tuple[tuple[int, ...], ...]) -> rec.Accuracy:
    """One 2 x 2 matrix an image; nothing near a boundary."""
    overall = tuple(tuple(int(count) for count in line) for line in np.sum(matrices, axis=0))
    return rec.Accuracy(overall, ((0, 0), (0, 0)), len(matrices), matrices)


def against(before: rec.Accuracy, after: rec.Accuracy, **changes) -> tuple[rec.Record, rec.Row]:
    row = replace(ROWS[1], accuracy=after, **changes)
    rows = (replace(ROWS[0], accuracy=before), row)
    return replace(RECORD, reference=rec.Reference("pytorch", before), rows=rows), row


def test_the_papers_four_metrics_of_each_region_by_hand():
    found = regions(REFERENCE)
    # ((90, 10), (0, 100)): 190 of 200; (0.9 + 1) / 2; IoU 90/100 and 100/110, each with half of the pixels
    every = found["all"]
    assert (every.pixel_accuracy, every.mean_accuracy) == pytest.approx((0.95, 0.95))
    assert every.mean_iou == every.frequency_weighted_iou == pytest.approx((0.9 + 100 / 110) / 2)
    # boundary ((10, 10), (0, 20)): IoU 10/20 and 20/30; the interior is the rest, ((80, 0), (0, 80))
    assert found["boundary"].mean_iou == pytest.approx((10 / 20 + 20 / 30) / 2)
    assert found["interior"].mean_iou == 1
    summary = fidelity(RECORD, ROWS[0])
    assert (summary.pixel_accuracy, summary.mean_accuracy, summary.interior_mean_iou) == pytest.approx((95, 95, 100))


def test_a_class_that_lost_has_an_interval_that_says_so_and_the_other_one_too():
    before = counted(*[((100, 0), (0, 100))] * 6)
    after = counted(*[((100 - lost, lost), (0, 100)) for lost in (10, 20, 30, 10, 20, 30)])
    record, row = against(before, after)
    road, pole = class_changes(record, row)
    # 480 of 600; 600 of 720
    assert (road.before, road.after, road.change.value) == pytest.approx((100, 80, -20))
    assert pole.change.value == pytest.approx(100 * (600 / 720 - 1))
    assert -30 <= road.change.low < road.change.value < road.change.high <= -10
    found = fidelity(record, row)
    assert found.delta_points == pytest.approx((road.change.value + pole.change.value) / 2)
    assert found.delta_interval[0] < found.delta_points < found.delta_interval[1] < 0


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


def test_a_class_that_is_nowhere_has_no_figures():
    nothing = counted(*[((10, 0), (0, 0))] * 3)
    record, _ = against(nothing, nothing)
    sheet = next(sheet for sheet in detail_sheets(record) if sheet.columns[0] == "class")
    assert sheet.rows == (("road", "100.00", "0"), ("pole", "-", "-"))
    assert json.loads(to_json(record))["rows"][1]["summary"]["mean_iou"] == 100


def test_frames_that_changed_most_come_first_and_unchanged_ones_not_at_all():
    frames = tuple(rec.Frame(f"{agreed}.png", agreed, 100) for agreed in (99, 100, 50, 98, 97, 96, 95))
    row = replace(ROWS[1], frames=frames)
    assert [frame.agreed for frame in most_changed(row)] == [50, 95, 96, 97, 98]
    sheet = detail_sheets(replace(RECORD, rows=(ROWS[0], row)))[-1]
    assert sheet.rows[:2] == (("onnxruntime", "50.png", "50.000"), ("", "95.png", "95.000"))


def test_a_long_path_is_shortened_to_its_end():
    row = replace(ROWS[1], frames=(rec.Frame("/data/" + 20 * "folder/" + "a/b.png", 1, 2),))
    assert detail_sheets(replace(RECORD, rows=(row,)))[-1].rows[0][1] == "a/b.png"


def test_agreement_stands_by_margin_with_the_share_of_the_pixels():
    sheet = next(sheet for sheet in detail_sheets(RECORD) if sheet.columns[0] == "logit margin")
    assert sheet.rows == (
        ("0 to 0.25", "2.000", "99.950"),
        ("0.25 and more", "98.000", "100"),
        ("largest margin of a change", "", "0.125"),
    )


def test_without_ground_truth_agreement_alone_is_told():
    rows = tuple(replace(row, accuracy=None) for row in ROWS)
    record = replace(RECORD, rows=rows, reference=rec.Reference("pytorch", None))
    assert [sheet.columns[0] for sheet in detail_sheets(record)] == ["logit margin"]


def test_many_rows_are_cut_into_sheets_that_fit():
    rows = (ROWS[0], *(replace(ROWS[1], runner=f"onnxruntime:{index}") for index in range(7)))
    sheets = [sheet for sheet in detail_sheets(replace(RECORD, rows=rows)) if sheet.columns[0] == "class"]
    assert [len(sheet.columns) - 2 for sheet in sheets] == [3, 3, 1]
