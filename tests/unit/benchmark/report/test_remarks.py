"""The sentences above and below the table of a record."""

from __future__ import annotations

from dataclasses import replace

from fcn_deploy.benchmark.report.remarks import headline, verdict_lines
from tests.support.bench_records import RECORD


def test_the_headline_says_that_runners_had_a_process_each():
    assert "4 rounds of batch 2, runners in turn, 2 CPU threads each; times in ms" in headline(RECORD)
    alone = replace(RECORD, settings=replace(RECORD.settings, isolated=True))
    assert "4 rounds of batch 2, a process each, runners in turn, 2 CPU threads each; times in ms" in headline(alone)


def test_a_line_for_each_row_and_the_choice_at_the_end():
    lines = verdict_lines(RECORD)
    assert [line.split(":")[0] for line in lines] == [
        "pytorch", "onnxruntime", "tensorrt", "fastest within 0.3 points of PyTorch's mIoU",
    ]  # fmt: skip
    assert lines[0].startswith("pytorch: bound by compute: 92 % of 40 ms. ")
