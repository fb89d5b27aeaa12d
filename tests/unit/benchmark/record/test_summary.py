"""Accuracy figures of a row: regions, changes with intervals, the frames that changed most."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fcn_deploy.benchmark.record.accuracy import regions
from fcn_deploy.benchmark.record.summary import class_changes, fidelity, speed, summarise
from tests.support.bench_records import RECORD, REFERENCE, ROWS, WORSE, against, counted, with_rows


def test_the_papers_four_metrics_of_each_region_by_hand():
    found = regions(REFERENCE)
    # ((90, 10), (0, 100)): 190 of 200; (0.9 + 1) / 2; IoU 90/100 and 100/110, each with half of the pixels
    every = found["all"]
    assert (every.pixel_accuracy, every.mean_accuracy) == pytest.approx((0.95, 0.95))
    assert every.mean_iou == every.frequency_weighted_iou == pytest.approx((0.9 + 100 / 110) / 2)
    # boundary ((10, 10), (0, 20)): IoU 10/20 and 20/30; the interior is the rest, ((80, 0), (0, 80))
    assert found["boundary"].mean_iou == pytest.approx((10 / 20 + 20 / 30) / 2)
    assert found["interior"].mean_iou == 1
    summary = fidelity(RECORD, ROWS[0].own)
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
    found = fidelity(record, row.own)
    assert found.delta_points == pytest.approx((road.change.value + pole.change.value) / 2)
    assert found.delta_interval[0] < found.delta_points < found.delta_interval[1] < 0


def test_dice_precision_and_boundary_iou_are_in_the_summary_of_each_class():
    regions_of = ((40, 30), (50, 60), (60, 30))  # in both, in the truth's, in the prediction's
    record, row = against(replace(REFERENCE, boundary_iou=regions_of), replace(WORSE, boundary_iou=regions_of))
    summary = summarise(record, row.own)
    # ((50, 50), (0, 100)): predicted 50 and 150
    assert summary["classes"] == [
        {"class": "road", "iou": 50, "dice": pytest.approx(200 / 3), "precision": 100, "recall": 50,
         "boundary_iou": pytest.approx(100 * 40 / 70)},
        {"class": "pole", "iou": pytest.approx(200 / 3), "dice": 80, "precision": pytest.approx(200 / 3),
         "recall": 100, "boundary_iou": 50},
    ]  # fmt: skip
    assert (summary["mean_dice"], summary["mean_precision"]) == pytest.approx(((200 / 3 + 80) / 2, 250 / 3))
    assert summary["boundary_iou"] == pytest.approx((400 / 7 + 50) / 2)
    assert "boundary_iou" not in summarise(RECORD, ROWS[1].own)["classes"][0]  # a record that did not keep it
    assert summarise(RECORD, ROWS[1].own)["boundary_iou"] is None


def test_speed_is_upload_run_and_download_together():
    pytorch, ort = speed(RECORD, ROWS[0].own), speed(RECORD, ROWS[1].own)
    assert pytorch.median_ms == 40
    assert (ort.median_ms, ort.upload_ms, ort.execute_ms, ort.download_ms) == (20, 1, 17, 2)
    # totals 20 20 20 50: linear interpolation at 0.9 and 0.99 of 3 steps
    assert ort.p90_ms == pytest.approx(41)
    assert ort.p99_ms == pytest.approx(49.1)
    assert ort.images_per_s == pytest.approx(1000 * 8 / 110)
    assert (pytorch.times_reference, ort.times_reference) == (1, 2)


def test_a_run_whose_halves_differ_is_unstable():
    # halves 20 20 and 20 50: medians 20 and 35
    assert speed(RECORD, ROWS[1].own).drift == 0.75
    assert speed(RECORD, ROWS[1].own).unstable
    assert not speed(RECORD, ROWS[0].own).unstable


def test_fidelity_is_in_per_cent_and_points_and_names_the_class_that_lost_most():
    found = fidelity(RECORD, ROWS[1].own)
    assert found.mean_iou == pytest.approx(100 * (0.5 + 100 / 150) / 2)
    assert found.delta_points == pytest.approx(found.mean_iou - 100 * (0.9 + 100 / 110) / 2)
    assert found.worst_class == ("road", pytest.approx(-40))
    assert found.agreement_lowest_margin.pixels == 2_000
    assert fidelity(RECORD, ROWS[0].own).delta_points == 0
    assert fidelity(RECORD, ROWS[0].own).worst_class is None


def test_rows_without_measurements_have_no_figures():
    record = with_rows(*ROWS[2:])
    assert speed(record, ROWS[2].own) is None
    assert set(summarise(record, ROWS[3].own).values()) == {None}
