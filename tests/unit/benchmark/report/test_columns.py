"""The heads of a page's tables and the best of their cells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.report.columns import grid
from fcn_deploy.benchmark.report.sheets import Sheet, built_sheet, fidelity_sheet, sizes_sheet, speed_sheet
from tests.support.bench_records import RECORD, REFERENCE, ROWS, WORSE, latency, remeasured, with_rows

SIZED = with_rows(
    *(
        remeasured(row, resized=tuple(Measurement((n, 33, 47), latency((ms * n,)), accuracy=WORSE) for n in (1, 4)))
        for row, ms in zip(ROWS[:2], (5, 7), strict=True)
    )
)


def best(record, sheet: Sheet) -> dict[str, list[str]]:
    """Names of the rows that are marked, by column."""
    found = grid(record, sheet)
    return {
        head: [row[0].text for row in found.rows if row[place].best]
        for place, head in enumerate(sheet.columns)
        if any(row[place].best for row in found.rows)
    }


def test_the_best_of_each_column_is_marked_in_its_own_direction():
    found = best(RECORD, speed_sheet(RECORD))
    # 40 and 20 ms; 300 and 100 MiB
    assert found["median ms"] == found["× pytorch"] == found["images/s"] == found["peak MiB"] == ["onnxruntime"]
    assert "upload ms" not in found  # the same in both
    assert best(RECORD, fidelity_sheet(RECORD))["mIoU %"] == ["pytorch"]


def test_rows_of_one_size_and_batch_are_compared_with_each_other_alone():
    found = best(SIZED, sizes_sheet(SIZED))
    assert found["median ms"] == ["pytorch", "pytorch"]  # once in each batch


def test_nothing_is_marked_where_all_are_equal_or_one_has_a_figure():
    same = with_rows(ROWS[0], remeasured(ROWS[0], accuracy=REFERENCE))
    assert best(same, fidelity_sheet(same)) == {}
    single = with_rows(ROWS[0], *ROWS[2:])
    assert best(single, speed_sheet(single)) == {}


@pytest.mark.parametrize(
    "sheet", [speed_sheet(RECORD), fidelity_sheet(RECORD), sizes_sheet(SIZED), built_sheet(RECORD)]
)
def test_every_column_of_figures_is_explained_or_is_a_unit(sheet):
    bare = {column.label for column in grid(RECORD, sheet).columns if not column.about}
    assert bare <= {"runner", "", "MB"}


def test_a_unit_is_split_off_and_a_change_is_of_the_column_to_its_left():
    found = grid(RECORD, fidelity_sheet(RECORD)).columns
    assert [(column.label, column.unit) for column in found[1:3]] == [("mIoU", "%"), ("change", "points")]
    changes = [column.about for column in found if column.label == "change"]
    assert changes == ["mIoU more or less than PyTorch's", "boundary mIoU more or less than PyTorch's"]
    plain = replace(RECORD, rows=(ROWS[0],))
    assert grid(plain, fidelity_sheet(plain)).columns[7].about == ""  # no margins were measured
