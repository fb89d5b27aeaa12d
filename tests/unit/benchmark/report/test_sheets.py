"""The tables of a record."""

from __future__ import annotations

from dataclasses import replace

from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.report.sheets import resized_measurements, sizes_sheet, speed_sheet
from tests.support.bench_records import REFERENCE, ROWS, WORSE, latency, remeasured, with_rows

RESIZED = tuple(
    Measurement((batch, height, width), latency((batch * 10, batch * 10, batch * 10)), accuracy=REFERENCE)
    for height, width in ((66, 94), (33, 47))
    for batch in (4, 1)
)


def test_each_size_is_compared_with_the_reference_of_that_size():
    slower = tuple(
        replace(cell, latency=latency((23, 23, 23)), accuracy=WORSE) for cell in RESIZED if cell.shape[0] == 1
    )
    record = with_rows(remeasured(ROWS[0], resized=RESIZED), remeasured(ROWS[1], resized=slower))
    assert [(found.shape, row.runner) for row, found in resized_measurements(record)][:3] == [
        ((1, 33, 47), "pytorch"),
        ((1, 33, 47), "onnxruntime"),
        ((4, 33, 47), "pytorch"),
    ]
    # 13 ms against 26, 90.45 % against 58.33
    assert sizes_sheet(record).rows[1] == (
        "onnxruntime", "33x47", "1", "26.0", "0.50", "26.0", "38.5", "-", "-", "58.33", "-32.12",
    )  # fmt: skip
    # (100 + 3 x 12) ms would not be a picture of the data set's own sizes
    assert sizes_sheet(record).rows[0][3] == "13.0"


def test_a_row_of_other_rounds_is_not_divided_by_the_reference():
    short = replace(RESIZED[3], latency=latency((20, 20)))
    record = with_rows(remeasured(ROWS[0], resized=RESIZED), remeasured(ROWS[1], resized=(short,)))
    assert sizes_sheet(record).rows[1][4] == "-"


def test_a_column_without_a_figure_is_left_out():
    heads = speed_sheet(with_rows(*ROWS)).columns
    assert "× pytorch" in heads
    without = speed_sheet(with_rows(*(row for row in ROWS if row.runner != "pytorch")))
    assert without.columns == tuple(head for head in heads if head != "× pytorch")
    assert {len(row) for row in without.rows} == {len(without.columns)}
