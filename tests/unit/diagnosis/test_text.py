"""A diagnosis as a reader sees it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fcn_deploy.diagnosis.result import Diagnosis, StageComparison
from fcn_deploy.diagnosis.text import interval, render
from fcn_deploy.metrics.bootstrap import Interval
from tests.support.diagnoses import GUILTY, diagnosis, step


def shown(found: Diagnosis) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=100).print(render(found))
    return stream.getvalue().splitlines()


def test_the_tables_keep_to_a_pipes_width_and_have_every_figure():
    lines = shown(diagnosis(GUILTY))
    assert max(map(len, lines)) <= 100
    (row,) = [line for line in lines if line.split()[:2] == ["fcn8s.int8.onnx", "int8"]]
    assert row.split() == [
        "fcn8s.int8.onnx", "int8", "50.00", "-5.05", "(-6.15", "to", "-3.14)", "90.000", "60.000", "diverges",
    ]  # fmt: skip
    assert any(line.split() == ["road", "-10.00", "(-20.00", "to", "0)"] for line in lines)
    assert any(line.split() == ["car", "-"] for line in lines)
    assert any(line.startswith("against PyTorch of fcn8s.onnx") for line in lines)
    # 0.559 is 20 log10(1 / 0.559) = 5.05 dB; the largest error stands first
    rows = [line.split() for line in lines if line.startswith("conv")]
    assert rows == [
        ["conv2", "Conv", "int8", "55.900", "5.1", "20", "out", "of", "line"],
        ["conv3", "Conv", "int8", "1.410", "37.0", "20"],
    ]


def test_a_stage_that_did_not_run_has_a_row_and_its_reason():
    skipped = StageComparison("fcn8s.engine", "engine", "fp16", "skipped", "no NVIDIA driver")
    lines = shown(diagnosis(step("fcn8s.onnx"), skipped))
    assert "fcn8s.engine skipped: no NVIDIA driver" in lines
    assert any(line.startswith("fcn8s.engine") and line.split()[-1] == "skipped" for line in lines)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Interval(0.0012, -0.0003, 0.0019), "+0.12 (-0.03 to +0.19)"),
        (Interval(0.0012), "+0.12"),
        (Interval(0.0, 0.0, 0.0), "0"),
        (Interval(float("nan")), "-"),
    ],
)
def test_an_interval_is_written_in_points(change, text):
    assert interval(change) == text
