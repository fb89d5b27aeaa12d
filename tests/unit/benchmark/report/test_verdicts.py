"""Verdicts as lines."""

from __future__ import annotations

from fcn_deploy.benchmark.report.verdicts import verdict_lines
from tests.support.bench_records import RECORD


def test_a_line_for_each_row_and_the_choice_at_the_end():
    lines = verdict_lines(RECORD)
    assert [line.split(":")[0] for line in lines] == [
        "pytorch", "onnxruntime", "tensorrt", "fastest within 0.3 points of PyTorch's mIoU",
    ]  # fmt: skip
    assert lines[0].startswith("pytorch: bound by compute: 92 % of 40 ms. ")
