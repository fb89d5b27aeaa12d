from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from fcn_deploy.benchmark.record.types import Cell, Saturated
from fcn_deploy.benchmark.report.remarks import headline
from fcn_deploy.benchmark.report.table import render
from fcn_deploy.evaluation.evaluate import AccuracyReport
from fcn_deploy.evaluation.plain import to_plain
from fcn_deploy.evaluation.text import render as render_accuracy
from fcn_deploy.metrics.scores import Scores
from fcn_deploy.system.formatting import milliseconds, points, share
from tests.support.bench_records import RECORD, REFERENCE, ROWS, with_rows


def printed(content, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(content)
    return stream.getvalue()


def line_of(text: str, start: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(start)).split()


def test_the_table_holds_the_figures_of_every_row():
    text = printed(render(RECORD))
    assert " ".join(line_of(text, "onnxruntime ")) == "onnxruntime unstable 20.0 41.0 49.1 72.7 2.00 1.00 17.0 2.00 100"
    assert " ".join(line_of(text, "onnxruntime:cuda")) == "onnxruntime:cuda skipped - - - - - - - - -"
    assert "CUDAExecutionProvider did not start: libcublasLt.so.13" in text
    assert "onnxruntime:tensorrt failed: ran out of memory" in text


def test_the_headline_says_that_runners_had_a_process_each():
    assert "4 rounds of batch 2, runners in turn, 2 CPU threads each; times in ms" in headline(RECORD)
    alone = replace(RECORD, settings=replace(RECORD.settings, isolated=True))
    assert "4 rounds of batch 2, a process each, runners in turn, 2 CPU threads each; times in ms" in headline(alone)


def test_the_second_table_holds_accuracy_and_agreement():
    second = printed(render(RECORD)).split("most lost")[1]
    # boundary: 5/20 and 20/35 against 10/20 and 20/30
    figures = "58.33 -32.12 41.07 -17.26 99.999 90.000 99.950 road -40.00"
    assert " ".join(line_of(second, "onnxruntime ")) == f"onnxruntime {figures}"
    assert " ".join(line_of(second, "pytorch ")) == "pytorch 90.45 ref 58.33 ref - - - -"


def test_what_a_reader_must_know_stands_below():
    text = " ".join(printed(render(RECORD)).split())
    assert "no GPU here: nothing was measured on one" in text
    assert "onnxruntime: normalises the image on the host" in text
    assert "onnxruntime: unstable, the second half of the rounds took 75 % more time than the first" in text
    assert "pytorch: unstable" not in text
    assert "4 rounds only" in text
    assert "other processes" not in text


def test_a_busy_machine_is_named_where_it_was_short_of_cores():
    # 2 threads on 4 cores
    assert "other processes" not in printed(render(replace(RECORD, other_cores=1.9)))
    text = " ".join(printed(render(replace(RECORD, other_cores=2.4))).split())
    assert "other processes kept 2.4 of 4 cores busy" in text
    assert "1 image could not be used" in text
    assert "differ by less than 0.250" in text
    assert "Some CPU, 2 cores; torch 2.9, onnxruntime 1.30" in text


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_asked(width):
    long = replace(ROWS[1], runner="onnxruntime:nvtensorrtrtx")
    for record in (RECORD, with_rows(*ROWS, long)):
        assert max(map(len, printed(render(record), width).splitlines())) <= width


def test_a_record_without_labels_or_reference_still_reads():
    bare = replace(ROWS[0], accuracy=None)
    text = printed(render(replace(with_rows(bare), reference=None, reference_reason="m.onnx holds no model card")))
    assert "mIoU" not in text
    assert "no PyTorch reference: m.onnx holds no model card" in text


def test_one_differing_pixel_never_reads_100_per_cent():
    assert share(9_999_999, 10_000_000) == "99.999"
    assert share(10_000_000, 10_000_000) == "100"
    assert share(0, 0) == "-"


def test_a_difference_reads_0_only_where_there_is_none():
    assert points(0.0) == "0"
    assert points(-0.001) == "-0.00"
    assert points(1.25) == "+1.25"
    assert points(float("nan")) == points(None) == "-"


def test_milliseconds_keep_three_digits():
    assert [milliseconds(value) for value in (0.1234, 1.234, 12.34, 1234.5)] == ["0.123", "1.23", "12.3", "1,234"]


def accuracy_report() -> AccuracyReport:
    whole = Scores(0.9, 0.8, 0.7, 0.6, (0.75, float("nan")), pixels=3102)
    return AccuracyReport("m.onnx", "0" * 64, "onnxruntime", "list.txt", ("road", "pole"), 2, 1, 3, whole, whole, whole)


def test_the_accuracy_tables_hold_four_metrics_and_every_class():
    text = printed(render_accuracy(accuracy_report()))
    assert line_of(text, "frequency weighted IoU")[-3:] == ["60.00"] * 3
    assert line_of(text, "pixel accuracy")[-3:] == ["90.00"] * 3
    assert line_of(text, "pixels") == ["pixels", "3,102", "3,102", "3,102"]
    assert line_of(text, "road") == ["road", "75.00", "75.00", "75.00"]
    assert line_of(text, "pole") == ["pole", "-", "-", "-"]
    assert "2 images of list.txt, 1 left out" in text


def test_the_accuracy_json_has_null_for_an_absent_class():
    plain = to_plain(accuracy_report())
    assert plain["overall"]["per_class_iou"] == [0.75, None]
    assert plain["overall"]["mean_iou"] == 0.7


def test_an_engine_that_was_built_and_cannot_run_shows_what_it_is_and_why():
    lines = printed(render(RECORD)).splitlines()
    (made,) = [line for line in lines if "engine" in line]
    assert made.split()[:4] == ["tensorrt:int8", "engine", "2.4", "1.2"]
    assert made.rstrip().endswith("INT8 96.4 %, FP32 3.6 %")
    assert "tensorrt:int8 built, and not run: libcuda.so.1 is missing" in map(str.rstrip, lines)


def test_images_a_second_when_busy_have_a_column_where_they_were_measured():
    busy = replace(ROWS[1], saturated=Saturated(images=90, seconds=1.5))
    text = printed(render(with_rows(ROWS[0], busy)))
    assert " ".join(line_of(text, "onnxruntime ")).startswith("onnxruntime unstable 20.0 41.0 49.1 72.7 60.0 2.00")
    assert "Busy/s: images/s when" in " ".join(text.split())
    assert "busy/s" not in printed(render(RECORD))


def test_sizes_and_batches_fit_the_width_with_the_longest_names():
    cell = Cell((16, 1024, 2048), ROWS[0].latency, Saturated(16, 100.0), ROWS[0].memory, REFERENCE)
    rows = [replace(ROWS[0], runner=name, cells=(cell,)) for name in ("pytorch", "onnxruntime:nvtensorrtrtx:int8+fp16")]
    text = printed(render(with_rows(*rows)))
    assert max(map(len, text.splitlines())) <= 100
    assert " ".join(line_of(text.split("batch median")[-1], "pytorch ")[:4]).startswith("pytorch 1024x2048 16")
