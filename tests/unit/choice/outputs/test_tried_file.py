"""The table of what was tried, as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from fcn_deploy.choice.outputs.tried_file import write_tried
from fcn_deploy.choice.result import Tried
from fcn_deploy.metrics.bootstrap import Interval


def test_the_winner_is_first_and_reasons_are_whole(tmp_path: Path):
    path = tmp_path / "best.tried.csv"
    slow = Tried("a", "onnxruntime", "fp32", (4, 6), outcome="3.0 x the time", reason="slower than b, by far", ms=3.0)
    lost = Tried("c", "onnxruntime", "fp16", (4, 6), outcome="failed", reason="failed: no")
    best = Tried(
        "b", "openvino", "int8", (4, 6), "cpu", "shipped", frames=9, change=Interval(0.25, -0.5, 1.0), ms=1.0, rounds=20
    )
    write_tried(path, [lost, slow, best])
    rows = list(csv.DictReader(path.open()))
    assert [row["candidate"] for row in rows] == ["b", "a", "c"]
    assert (rows[0]["miou_change"], rows[0]["low"], rows[0]["target"], rows[0]["size"]) == (
        "0.25",
        "-0.5",
        "cpu",
        "4x6",
    )
    assert (rows[1]["reason"], rows[1]["miou_change"], rows[2]["ms"]) == ("slower than b, by far", "", "")
