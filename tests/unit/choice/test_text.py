"""The screen of a choice: it fits 80 columns with long names and reasons."""

from __future__ import annotations

import io
import shlex
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from fcn_deploy.benchmark.baseline.significance import Ratio
from fcn_deploy.choice.result import Choice, Tried, Winner
from fcn_deploy.choice.text import render
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.budget import AccuracyBudget

CHANGE = Interval(-10.25, -12.29, -10.77)
LONG = "onnxruntime:int8:cuda:1 for tensorrt at 1080x1920"


def _choice(times: Ratio) -> Choice:
    reason = "IoU of sky -3.89 points after 8 of 101 frames, -2.06 at best; a loss of 1 is allowed"
    tried = (
        Tried(
            LONG, "onnxruntime:cuda:1", "int8", (1080, 1920), "tensorrt", "loses too much", reason, 8, CHANGE, 1234.5
        ),
        Tried("openvino", "openvino", "fp32", (360, 480), "", "shipped", "", 101, CHANGE, 9.45, 30),
        Tried("onnxruntime:fp16", "onnxruntime", "fp16", (360, 480), "", "failed", "failed: no kernel"),
    )
    worst = ("a class with a long name", -10.5)
    paths = (Path("best.choice.toml"), Path("best.tried.csv"))
    winner = Winner("openvino", Path("best.onnx"), None, CHANGE, 9.45, times, worst, (), *paths)
    return Choice("m.onnx", "val", 101, "pytorch", AccuracyBudget(1), None, tried, winner, "", True, 28, 3,
                  Path("best.onnx.choose"), 73.3, 50.0)  # fmt: skip


def _printed(found: Choice) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    for part in render(found):
        console.print(part, soft_wrap=isinstance(part, str), highlight=False)
    return stream.getvalue().splitlines()


def test_long_names_and_reasons_fit_80_columns():
    lines = _printed(_choice(Ratio(10.17, 9.8, 10.6)))
    assert lines[0] == "ship best.onnx in openvino: 10.2 times as fast as pytorch (9.8 to 10.6),"
    assert {line: len(line.rstrip()) for line in lines if len(line.rstrip()) > 80} == {}
    assert any("a loss of 1 is allowed" in line for line in lines)
    assert any(line.startswith("onnxruntime:fp16: failed: no kernel") for line in lines)


def test_a_long_command_is_folded_so_that_a_shell_reads_one():
    found = _choice(Ratio(10.17, 9.8, 10.6))
    assert found.winner is not None
    command = "fcn-deploy quantize fcn8s.onnx --precision int8 --target cpu --calib data/camvid/train.txt -o best.onnx"
    lines = _printed(replace(found, winner=replace(found.winner, commands=(command,))))
    start, end = (next(n for n, line in enumerate(lines) if line.startswith(head)) for head in ("made again", "or by"))
    assert max(map(len, lines)) <= 80
    joined = "\n".join(lines[start + 1 : end]).replace("\\\n", "")  # as a shell does
    assert shlex.split(joined) == shlex.split(command)


def test_a_ratio_that_a_busy_machine_blurred_has_no_decimals_and_a_remark():
    first, second = _printed(_choice(Ratio(10.17, 0.0, 35283.6)))[:2]
    assert first.endswith("about 10 times as fast as pytorch,")
    assert second.startswith("  speed not known within a factor of 2, ")
