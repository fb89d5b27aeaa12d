"""`fcn-deploy choose`: the winner, its file, and what happens when nothing passes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fcn_deploy.graph.load import read_card
from fcn_deploy.system.files import sha256

SMALL = ("--data", "synthetic:10:3:48x64", "--calib", "synthetic:6:1:48x64", "--runners", "onnxruntime")


def test_the_winner_is_written_and_its_command_makes_it_again(shell, tmp_path: Path, demo_onnx: Path):
    best, record = tmp_path / "best.onnx", tmp_path / "found.json"
    command = ("choose", demo_onnx, *SMALL, "--max-miou-drop", "40", "-o", best, "--json", record)
    done = shell(*command, "--precisions", "int8")
    assert done.code == 0, done.err
    assert done.out.startswith(f"ship {best} in onnxruntime: ")
    found = json.loads(record.read_text())
    assert found["winner"]["name"] == "onnxruntime:int8"
    assert read_card(best).classes
    digest = sha256(best)
    [line] = found["winner"]["commands"]
    program, *arguments = line.split()
    assert program == "fcn-deploy"
    best.unlink()
    assert shell(*arguments).code == 0
    assert sha256(best) == digest


def test_a_second_run_measures_nothing_again_and_may_have_other_budgets(shell, tmp_path: Path, demo_onnx: Path):
    best = tmp_path / "best.onnx"
    command = ("choose", demo_onnx, *SMALL, "--precisions", "fp32,int8", "-o", best)
    first = shell(*command, "--max-miou-drop", "40", "--json", tmp_path / "1.json")
    assert first.code == 0, first.err
    again = shell(*command, "--max-miou-drop", "40", "--json", tmp_path / "2.json")
    one, two = (json.loads((tmp_path / f"{number}.json").read_text()) for number in (1, 2))
    assert two["steps_before"] == two["steps"] == one["steps"] > 0
    assert one["tried"] == two["tried"]
    assert "steps are done" in again.err


def test_nothing_is_written_if_none_passes(shell, tmp_path: Path, demo_onnx: Path):
    best = tmp_path / "best.onnx"
    done = shell("choose", demo_onnx, *SMALL, "--precisions", "fp32", "--sizes", "0.25", "--max-miou-drop", "0",
                 "-o", best)  # fmt: skip
    assert done.code == 3
    assert done.out.startswith("none of 1 candidate passes the budgets; nothing was written\nnearest: onnxruntime at")
    assert not best.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--precisions", "fp32"), "give a budget"),
        (("--max-miou-drop", "1", "--max-class-drop", "pole"), "write pole=1"),
        (("--max-class-drop", "poles=1"), "unknown class 'poles'; did you mean pole?"),
        (("--max-miou-drop", "1", "--runners", "pytorch"), "pytorch is what the candidates are compared with"),
        (("--max-miou-drop", "1", "--precisions", "int4"), "unknown precision 'int4'"),
        (("--max-miou-drop", "1", "--sizes", "half"), "'half' is not a size"),
    ],
)
def test_bad_options_get_one_line(shell, tmp_path: Path, demo_onnx: Path, arguments, message):
    done = shell("choose", demo_onnx, *SMALL, "-o", tmp_path / "best.onnx", *arguments)
    assert done.code in (1, 2)
    assert message in done.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
