"""The lines of the answer, and its command for a shell."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace

import pytest

from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.report.answer import Answered, answer_lines, cut, folded
from fcn_deploy.benchmark.verdicts.answer import answer
from tests.support.bench_records import AGREEMENT, RECORD, REFERENCE, ROUNDS, remeasured, row, timed
from tests.unit.benchmark.report.test_text import printed

COMMAND = (
    "fcn-deploy quantize m.onnx --precision int8 --target cpu "
    "--calib '/data/street scenes/it'\"'\"'s train.txt' -o m.int8.cpu.onnx"
)


def record(*, opened: rec.OpenedFile | None = None, **changes) -> rec.Record:
    rows = (
        row("pytorch", timed(1, 37, 2), accuracy=REFERENCE),
        replace(row("openvino:int8", timed(1, 7, 2), accuracy=REFERENCE), opened=opened),
    )
    return replace(RECORD, rounds=(0,) * ROUNDS, rows=rows, **changes)


def lines(found: rec.Record) -> dict[str, str]:
    return {line.label: line.text for line in answer_lines(answer(found))}


def test_the_first_line_names_the_file_and_what_runs_it():
    found = answer_lines(answer(record(opened=rec.OpenedFile("m.int8.cpu.onnx", COMMAND))))
    assert [line.label for line in found[:4]] == ["ship", "speed", "cost", "make it"]
    assert found[0].text == "m.int8.cpu.onnx, run by OpenVINO (openvino:int8)"
    assert found[1].text.startswith("10 ms, 4.0")
    assert found[2].text == "0 points of mIoU"
    assert found[3].text == COMMAND


def test_a_kept_file_is_named_by_its_path_and_needs_no_command():
    found = lines(record(opened=rec.OpenedFile("m.int8.cpu.onnx", COMMAND, "out/m.int8.cpu.onnx")))
    assert found["ship"] == "out/m.int8.cpu.onnx, run by OpenVINO (openvino:int8)"
    assert "make it" not in found


def test_a_record_that_does_not_name_the_file_names_the_row():
    assert lines(record())["ship"] == "openvino:int8"


def test_without_labels_the_first_line_does_not_say_ship():
    (first, *_) = answer_lines(answer(record(reference=rec.Reference("pytorch", None))))
    assert (first.label, first.text) == ("fastest", "openvino:int8; whether it is unharmed is not known")


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100])
def test_a_shell_reads_the_command_at_every_width(width, tmp_path):
    """Run with a function in place of the program, which prints its arguments."""
    for broken in (folded(COMMAND, width), cut(COMMAND, width)):
        script = "fcn-deploy() { printf '%s\\n' \"$@\"; }\n" + "\n".join(broken)
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == shlex.split(COMMAND)[1:]


def test_without_labels_the_pixels_of_equal_label_are_in_place_of_the_cost():
    found = record(reference=rec.Reference("pytorch", None))
    rows = (found.rows[0], remeasured(found.rows[1], agreement=AGREEMENT))
    shown = lines(replace(found, rows=rows))
    assert shown["labels"] == "99.999 % of the pixels have the label of PyTorch"
    assert "cost" not in shown


def test_two_commands_have_lines_of_their_own():
    assert folded("fcn-deploy export a.pth -o a.onnx && fcn-deploy quantize a.onnx -o b.onnx", 70) == [
        "fcn-deploy export a.pth -o a.onnx &&",
        "fcn-deploy quantize a.onnx -o b.onnx",
    ]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_line_of_the_answer_is_wider_than_the_terminal(width):
    long = COMMAND.replace("'", "").replace('"', "").replace("/data/street scenes/its", "/data/" + 9 * "street/")
    found = answer(record(opened=rec.OpenedFile("m.int8.cpu.onnx", long), other_cores=3.9))
    assert max(map(len, printed(Answered(found), width).splitlines())) <= width
    # after a backslash and a blank a shell would not join the lines
    assert not any(line.endswith(" ") for line in printed(Answered(found), width).splitlines())
