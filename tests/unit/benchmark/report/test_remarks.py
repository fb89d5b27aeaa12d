"""The sentences above and below the table of a record."""

from __future__ import annotations

from dataclasses import replace

from fcn_deploy.benchmark.record.measurement import Saturated
from fcn_deploy.benchmark.report.remarks import circumstances, headline, verdict_lines
from tests.support.bench_records import RECORD, ROWS, remeasured, with_rows


def test_the_headline_says_that_runners_had_a_process_each():
    assert "4 rounds of batch 2, runners in turn, 2 CPU threads each; times in ms" in headline(RECORD)
    alone = replace(RECORD, settings=replace(RECORD.settings, isolated=True))
    assert "4 rounds of batch 2, a process each, runners in turn, 2 CPU threads each; times in ms" in headline(alone)


def test_a_line_for_each_row():
    lines = verdict_lines(RECORD)
    assert [line.split(":")[0] for line in lines] == ["pytorch", "onnxruntime", "tensorrt"]
    assert lines[0].startswith("pytorch: bound by compute: 92 % of 40 ms. ")


def test_the_energy_of_an_image_is_reported_where_a_device_counts_it():
    busy = remeasured(ROWS[1], saturated=Saturated(600, 1.5, joules={"cpu": 90.0, "gpu 0": 600.0}))
    lines = circumstances(with_rows(ROWS[0], busy))
    assert "onnxruntime: 0.15 J an image on cpu (60 W), 1 J an image on gpu 0 (400 W), idle power included" in lines
    assert not any("J an image" in line for line in circumstances(RECORD))
