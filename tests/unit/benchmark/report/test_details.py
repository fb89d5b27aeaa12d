"""The detailed tables of a record: classes, frames, margins."""

from __future__ import annotations

import json
from dataclasses import replace

from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.file import to_json
from fcn_deploy.benchmark.record.measurement import Frame
from fcn_deploy.benchmark.report.details import detail_sheets
from tests.support.bench_records import RECORD, ROWS, against, counted, remeasured


def test_a_class_that_is_nowhere_has_no_figures():
    nothing = counted(*[((10, 0), (0, 0))] * 3)
    record, _ = against(nothing, nothing)
    sheet = next(sheet for sheet in detail_sheets(record) if sheet.columns[0] == "class")
    assert sheet.rows == (("road", "100.00", "0"), ("pole", "-", "-"))
    assert json.loads(to_json(record))["rows"][1]["measurements"][0]["summary"]["mean_iou"] == 100


def test_a_long_path_is_shortened_to_its_end():
    row = remeasured(ROWS[1], frames=(Frame("/data/" + 20 * "folder/" + "a/b.png", 1, 2),))
    assert detail_sheets(replace(RECORD, rows=(row,)))[-1].rows[0][1] == "a/b.png"


def test_agreement_is_listed_by_margin_with_the_share_of_the_pixels():
    sheet = next(sheet for sheet in detail_sheets(RECORD) if sheet.columns[0] == "logit margin")
    assert sheet.rows == (
        ("0 to 0.25", "2.000", "99.950"),
        ("0.25 and more", "98.000", "100"),
        ("largest margin of a change", "", "0.125"),
    )


def test_without_ground_truth_agreement_alone_is_reported():
    rows = tuple(remeasured(row, accuracy=None) for row in ROWS)
    record = replace(RECORD, rows=rows, reference=rec.Reference("pytorch", None))
    assert [sheet.columns[0] for sheet in detail_sheets(record)] == ["logit margin"]


def test_each_table_is_there_once_however_many_rows_there_are():
    rows = (ROWS[0], *(replace(ROWS[1], runner=f"onnxruntime:{index}") for index in range(7)))
    found = {sheet.title: sheet for sheet in detail_sheets(replace(RECORD, rows=rows))}
    assert len(found) == len(detail_sheets(replace(RECORD, rows=rows)))
    wide = [sheet for sheet in found.values() if sheet.columns[0] in ("class", "logit margin")]
    # changes of the classes, margins: a column per row; between them the reference's own four scores of each class
    assert [len(sheet.columns) - 2 for sheet in wide] == [7, 3, 7]
    assert wide[1].rows == (("road", "94.74", "100.00", "90.00", "-"), ("pole", "95.24", "90.91", "100.00", "-"))
