from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from fcn_deploy.benchmark.record.measurement import Measurement, Saturated
from fcn_deploy.benchmark.report.markdown import render_markdown
from fcn_deploy.benchmark.report.sheets import speed_sheet
from fcn_deploy.benchmark.report.tables import Fitted, two_lines
from fcn_deploy.benchmark.report.text import render, render_csv
from tests.support.bench_records import RECORD, REFERENCE, ROWS, remeasured, with_rows


def printed(content, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(content)
    return stream.getvalue()


def line_of(text: str, start: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(start)).split()


def test_the_table_holds_the_figures_of_every_row():
    text = printed(render(RECORD, details=True)).split("Speed:")[1]
    assert " ".join(line_of(text, "onnxruntime ")) == "onnxruntime unstable 20.0 2.00 41.0 49.1 72.7 1.00 17.0 2.00 100"
    assert " ".join(line_of(text, "onnxruntime:cuda")) == "onnxruntime:cuda skipped - - - - - - - - -"


def test_the_second_table_holds_accuracy_and_agreement():
    second = printed(render(RECORD, details=True)).split("worst class,")[1]
    # boundary: 5/20 and 20/35 against 10/20 and 20/30
    figures = "58.33 -32.12 41.07 -17.26 99.999 90.000 99.950 road -40.00"
    assert " ".join(line_of(second, "onnxruntime ")) == f"onnxruntime {figures}"
    assert " ".join(line_of(second, "pytorch ")) == "pytorch 90.45 ref 58.33 ref - - - -"


def test_without_details_one_table_holds_what_decides():
    text = printed(render(RECORD), 80)
    assert text.count("─\n") == 1
    assert " ".join(line_of(text, "onnxruntime ")) == "onnxruntime unstable 20.0 2.00 58.33 -32.12 99.999"
    assert " ".join(line_of(text, "pytorch ")) == "pytorch ok 40.0 1.00 90.45 ref -"
    assert " ".join(line_of(text, "onnxruntime:cuda")[:3]) == "onnxruntime:cuda skipped -"
    for said in ("p90", "bound by", "peak", "Some CPU", "normalises"):
        assert said not in text


def test_rows_that_did_not_run_have_their_reason_without_details():
    text = printed(render(RECORD))
    assert "onnxruntime:cuda skipped: CUDAExecutionProvider did not start: libcublasLt.so.13" in text
    assert "onnxruntime:tensorrt failed: ran out of memory" in text
    assert "tensorrt:int8 built, and not run: libcuda.so.1 is missing" in text
    assert "1 image could not be used" in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_summary_drops_the_least_important_columns_and_never_splits_a_name(width):
    long = replace(ROWS[1], runner="onnxruntime:cuda:int8+fp16")
    lines = printed(render(with_rows(*ROWS, long)), width).splitlines()
    (row,) = [line for line in lines if line.startswith(long.runner)]
    kept = {40: "20.0", 60: "20.0 2.00 -32.12 99.999", 80: "unstable 20.0 2.00 58.33 -32.12 99.999"}
    assert " ".join(row.split()[1:]) == kept[width]
    told = " ".join(" ".join(lines).split())
    assert ("no room for" in told) == (width < 80)
    assert width == 80 or "mIoU %" in told.split("(no room for:")[1]


def test_what_a_reader_may_ask_is_printed_with_details():
    text = " ".join(printed(render(RECORD, details=True)).split())
    assert "no GPU here: nothing was measured on one" in text
    assert "Some CPU, 2 cores; torch 2.9, onnxruntime 1.30" in text
    assert "onnxruntime: normalises the image on the host" in text
    assert "onnxruntime: unstable, the second half of the rounds took 75 % more time than the first" in text
    assert "pytorch: unstable" not in text
    assert "4 rounds only" in text
    assert "differ by less than 0.250" in text


def test_a_busy_machine_is_named_where_it_was_short_of_cores():
    # 2 threads on 4 cores
    assert "other processes" not in printed(render(replace(RECORD, other_cores=1.9)))
    text = " ".join(printed(render(replace(RECORD, other_cores=2.4))).split())
    assert "other processes kept 2.4 of 4 cores busy" in text


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_asked(width):
    long = replace(ROWS[1], runner="onnxruntime:nvtensorrtrtx")
    for record in (RECORD, with_rows(*ROWS, long)):
        for details in (False, True):
            assert max(map(len, printed(render(record, details), width).splitlines())) <= width


def test_a_record_without_labels_or_reference_still_reads():
    bare = remeasured(ROWS[0], accuracy=None)
    text = printed(render(replace(with_rows(bare), reference=None, reference_reason="m.onnx holds no model card")))
    assert "mIoU" not in text.partition("m.onnx: ")[2]
    assert "no PyTorch reference: m.onnx holds no model card" in text


def test_an_engine_that_was_built_and_cannot_run_shows_what_it_is_and_why():
    lines = printed(render(RECORD, details=True)).splitlines()
    (made,) = [line for line in lines if "engine" in line]
    assert made.split()[:4] == ["tensorrt:int8", "engine", "2.4", "1.2"]
    assert made.rstrip().endswith("INT8 96.4 %, FP32 3.6 %        -")
    assert "tensorrt:int8 built, and not run: libcuda.so.1 is missing" in map(str.rstrip, lines)


def test_images_per_second_when_busy_have_a_column_where_they_were_measured():
    busy = remeasured(ROWS[1], saturated=Saturated(images=90, seconds=1.5))
    text = printed(render(with_rows(ROWS[0], busy), details=True)).split("Speed:")[1]
    assert " ".join(line_of(text, "onnxruntime ")).startswith("onnxruntime unstable 20.0 2.00 41.0 49.1 72.7 60.0")
    assert "Saturated: the next image never has to wait" in " ".join(text.split())
    assert "saturated" not in printed(render(RECORD, details=True)).lower()


def test_sizes_and_batches_fit_the_width_with_the_longest_names():
    cell = Measurement((16, 1024, 2048), ROWS[0].own.latency, Saturated(16, 100.0), ROWS[0].own.memory, REFERENCE)
    rows = [
        replace(remeasured(ROWS[0], resized=(cell,)), runner=name)
        for name in ("pytorch", "onnxruntime:nvtensorrtrtx:int8+fp16")
    ]
    text = printed(render(with_rows(*rows), details=True))
    assert max(map(len, text.splitlines())) <= 100
    assert " ".join(line_of(re.split(r"size +batch", text)[1], "pytorch ")[:4]).startswith("pytorch 1024x2048 16")


@pytest.mark.parametrize(
    ("head", "broken"),
    [
        ("runner", "runner"),
        ("median ms", "median\nms"),
        ("saturated images/s", "saturated\nimages/s"),
        ("low-margin agreement %", "low-margin\nagreement %"),
    ],
)
def test_a_head_that_is_wider_than_its_cells_takes_two_lines(head, broken):
    assert two_lines(head) == broken


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_table_wider_than_the_terminal_goes_on_below_with_the_names_again(width):
    whole, narrow = (printed(Fitted(speed_sheet(RECORD)), wide) for wide in (120, width))

    def of_pytorch(text):
        return [line.split() for line in text.splitlines() if line.startswith("pytorch ")]

    assert len(of_pytorch(narrow)) > len(of_pytorch(whole))
    assert "…" not in narrow
    cells, all_cells = ([cell for row in of_pytorch(text) for cell in row[1:]] for text in (narrow, whole))
    assert cells == all_cells


def test_the_spread_of_an_unstable_row_is_reported_once():
    lines = " ".join(printed(render(RECORD, details=True)).split())
    assert lines.count("onnxruntime: unstable, ") == 1
    assert "Unsteady" not in lines
    assert "pytorch: bound by compute: 92 % of 40 ms. Steady: " in lines


def test_of_several_files_each_has_a_line_above_its_rows_and_the_csv_a_column():
    models = {"model": replace(RECORD.model, label="fcn8s"), "others": (replace(RECORD.model, label="searched.int8"),)}
    rows = (replace(ROWS[0], file="fcn8s"), replace(ROWS[1], file="fcn8s"), replace(ROWS[1], file="searched.int8"))
    record = replace(with_rows(*rows), reference=replace(RECORD.reference, file="fcn8s"), **models)
    lines = printed(render(record), width=80).splitlines()
    heads = [line.split()[0] for line in lines if line.strip()]
    place = heads.index("fcn8s")
    assert heads[place : place + 5] == ["fcn8s", "pytorch", "onnxruntime", "searched.int8", "onnxruntime"]
    assert max(map(len, lines)) <= 80
    assert [line.rsplit(",", 1)[1] for line in render_csv(record).splitlines()] == [
        "file", "fcn8s", "fcn8s", "searched.int8",
    ]  # fmt: skip
    assert "| searched.int8 onnxruntime |" in render_markdown(record)
