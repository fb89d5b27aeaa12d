"""`fcn-deploy choose`: the winner, its file, and what happens when nothing passes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fcn_deploy
from fcn_deploy.graph.load import read_card
from fcn_deploy.system.files import sha256
from tests.support.child_process import finish

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
    best.unlink()
    again = shell("choose", tmp_path / "best.choice.toml", "-o", best)
    assert again.out == f"{best}, for onnxruntime: the file that was chosen, sha256 {digest[:16]}\n"
    assert sha256(best) == digest
    refused = shell("choose", tmp_path / "best.choice.toml", "--max-ms", "4", "-o", best)
    assert (refused.code, "--max-ms is in" in refused.err) == (2, True)
    assert (
        (tmp_path / "best.tried.csv").read_text().splitlines()[1].startswith("onnxruntime:int8,onnxruntime,int8,cpu,")
    )
    assert {path.name for path in (tmp_path / "best.onnx.choose").iterdir()} == {"log.jsonl", "calibration.cache"}


def test_a_network_size_is_in_the_file_and_its_commands_make_it_again(
    shell, tmp_path: Path, small_onnx: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(small_onnx, "m.onnx")
    tried = ("--precisions", "int8", "--sizes", "longest:40", "--max-miou-drop", "90")
    done = shell("choose", "m.onnx", *SMALL, *tried, "-o", "best.onnx", "--json", "found.json")
    assert done.code == 0, done.err
    winner = json.loads(Path("found.json").read_text())["winner"]
    assert (winner["name"], winner["size"]) == ("onnxruntime:int8 at longest:40", [30, 40])
    assert done.out.startswith("ship best.onnx in onnxruntime, which computes at 30x40: ")
    assert read_card(Path("best.onnx")).network_size == "longest:40"
    with fcn_deploy.load("best.onnx") as model:
        assert model(np.zeros((33, 57, 3), np.uint8)).shape == (33, 57)
    digest = sha256(Path("best.onnx"))
    assert [line.split()[1] for line in winner["commands"]] == ["export", "quantize"]
    for line in (*winner["commands"], "fcn-deploy choose best.choice.toml -o best.onnx"):
        again = shell(*line.split()[1:])
        assert again.code == 0, again.err
    assert again.out.startswith("best.onnx, for onnxruntime, network size longest:40: the file that was chosen")
    assert sha256(Path("best.onnx")) == digest


@pytest.mark.long
def test_the_budget_of_a_class_changes_the_winner_of_a_real_network(shell, tmp_path: Path, demo_onnx: Path):
    """At half the size, poles are as thin as a pixel: the demo loses them there and little else."""
    best, record = tmp_path / "best.onnx", tmp_path / "found.json"
    tried = ("--runners", "onnxruntime", "--precisions", "fp32", "--sizes", "1,0.5")
    common = ("choose", demo_onnx, "--data", "synthetic:12:3:120x160", *tried, "--max-miou-drop", "60", "-o", best,
              "--json", record)  # fmt: skip
    for more, winner in (((), "onnxruntime at 0.5"), (("--max-class-drop", "pole=2"), "onnxruntime")):
        done = shell(*common, *more)
        assert done.code == 0, done.err
        assert json.loads(record.read_text())["winner"]["name"] == winner
    lost = next(each for each in json.loads(record.read_text())["tried"] if each["name"] == "onnxruntime at 0.5")
    assert lost["outcome"] == "loses too much"
    assert "IoU of pole" in lost["reason"]


@pytest.mark.long
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
    assert done.out.startswith("none of 1 candidate is within the limits; nothing was written\nnearest: onnxruntime at")
    assert not best.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--precisions", "fp32"), "give a limit"),
        (("--max-miou-drop", "1", "--max-class-drop", "pole"), "write pole=1"),
        (("--max-class-drop", "poles=1"), "unknown class 'poles'; did you mean pole?"),
        (("--max-miou-drop", "1", "--runners", "pytorch"), "pytorch is what the candidates are compared with"),
        (("--max-miou-drop", "1", "--precisions", "int4"), "unknown precision 'int4'"),
        (("--max-miou-drop", "1", "--sizes", "half"), "'half' is not a network size"),
    ],
)
def test_bad_options_get_one_line(shell, tmp_path: Path, demo_onnx: Path, arguments, message):
    done = shell("choose", demo_onnx, *SMALL, "-o", tmp_path / "best.onnx", *arguments)
    assert done.code in (1, 2)
    assert message in done.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def _start(*arguments: object, limit: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fcn_deploy", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )


def test_a_killed_run_goes_on_after_its_finished_steps(shell, tmp_path: Path, demo_onnx: Path):
    best = tmp_path / "best.onnx"
    log = tmp_path / "best.onnx.choose" / "log.jsonl"
    command = ("choose", demo_onnx, *SMALL, "--precisions", "fp32,int8", "--max-miou-drop", "40", "-o", best)
    process = _start(*command)
    while process.poll() is None and (not log.exists() or log.read_text().count("\n") < 3):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    finish(process)
    assert not best.exists()
    kept = log.read_text().count("\n") - 1
    assert kept >= 2
    done = shell(*command, "--json", tmp_path / "found.json")
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["steps_before"] >= kept
    assert best.exists()


@pytest.mark.long
def test_a_full_disk_is_one_line_and_leaves_no_file(tmp_path: Path, demo_onnx: Path):
    best = tmp_path / "best.onnx"
    command = ("choose", demo_onnx, *SMALL, "--precisions", "fp32", "--max-miou-drop", "40", "-o", best)
    process = _start(*command, limit=100_000)
    _, err = finish(process)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith(f"error: cannot write {best}: the file would be larger")
    assert not best.exists()


def test_a_file_that_was_there_is_replaced_by_the_winner_alone(shell, tmp_path: Path, demo_onnx: Path):
    best = tmp_path / "best.onnx"
    best.write_text("mine")
    lost = ("--precisions", "fp32", "--sizes", "0.25", "--max-miou-drop", "0")
    assert shell("choose", demo_onnx, *SMALL, *lost, "-o", best).code == 3
    assert best.read_text() == "mine"
    assert shell("choose", demo_onnx, *SMALL, "--precisions", "fp32", "--max-miou-drop", "1", "-o", best).code == 0
    assert sha256(best) == sha256(demo_onnx)


def test_images_without_labels_and_int8_without_images_are_refused(shell, tmp_path: Path, demo_onnx: Path):
    from PIL import Image

    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (64, 48)).save(photos / "a.png")
    common = ("choose", demo_onnx, "--max-miou-drop", "1", "-o", tmp_path / "best.onnx")
    done = shell(*common, "--data", photos, "--precisions", "fp32")
    assert (done.code, "has no labels" in done.err) == (1, True)
    done = shell(*common, "--data", "synthetic:4")
    assert (done.code, "INT8 needs images to calibrate with" in done.err) == (1, True)
    assert shell(*common, "--precisions", "fp32").err.splitlines()[-1].endswith("name them (--data)")
    assert shell("choose", demo_onnx, *SMALL, "--max-miou-drop", "1", "-o", demo_onnx).code == 1


def test_a_dry_run_says_what_would_be_tried_and_writes_nothing(shell, tmp_path: Path, demo_onnx: Path):
    done = shell("choose", demo_onnx, *SMALL, "--sizes", "1,0.5", "--max-miou-drop", "1", "--dry-run", "-o",
                 tmp_path / "best.onnx")  # fmt: skip
    assert done.code == 0, done.err
    assert done.out.startswith("6 candidates on 10 frames of synthetic:10:3:48x64\n  onnxruntime\n")
    assert "files to make: fp16 for cpu, int8 for cpu" in done.out
    assert list(tmp_path.iterdir()) == []
