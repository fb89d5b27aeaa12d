"""Markdown and comma-separated values of a record."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.report.text import COLUMNS, render_csv
from tests.support.bench_records import RECORD, ROWS, WORSE, latency, remeasured, with_rows


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_each_row_is_a_line_with_figures_in_full():
    pytorch, ort, cuda, *_, built = lines(render_csv(RECORD))
    assert (pytorch["batch"], pytorch["height"], pytorch["width"], pytorch["rounds"]) == ("2", "33", "47", "4")
    # (20 + 20 + 20 + 50) ms for 4 x 2 images
    assert (float(ort["median_ms"]), float(ort["images_per_s"])) == (20.0, 1000 * 8 / 110)
    assert (ort["unstable"], pytorch["unstable"]) == ("1", "0")
    assert abs(float(ort["delta_points"]) + 32.1212) < 1e-4
    assert (ort["agreed_pixels"], ort["compared_pixels"]) == ("99999", "100000")
    assert cuda["median_ms"] == cuda["mean_iou_percent"] == ""
    assert cuda["reason"] == "CUDAExecutionProvider did not start: libcublasLt.so.13"
    assert (built["status"], built["file_bytes"]) == ("built", "2400000")


def test_each_cell_is_a_line_of_its_size():
    cell = Measurement((4, 66, 94), latency((37, 37, 37)), accuracy=WORSE)
    found = lines(render_csv(with_rows(remeasured(ROWS[0], resized=(cell,)), ROWS[2])))
    assert [(line["runner"], line["batch"], line["height"], line["width"]) for line in found] == [
        ("pytorch", "2", "33", "47"),
        ("onnxruntime:cuda", "2", "33", "47"),
        ("pytorch", "4", "66", "94"),
    ]
    assert (found[2]["median_ms"], found[2]["peak_bytes"]) == ("40.0", "")
    assert list(found[0]) == list(COLUMNS)


def test_a_reason_with_commas_quotes_and_line_ends_stays_one_cell():
    reason = 'a, "b"\nc'
    (line,) = lines(render_csv(with_rows(replace(ROWS[2], reason=reason))))
    assert line["reason"] == reason
