"""`fcn-deploy train` as a user calls it: in a process of its own, stopped by real signals."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.child_process import PATIENCE_S, finish

OPTIONS = shlex.split(
    "--data synthetic:9:0:33x47 --val synthetic:2:1:35x41 --width 0.02 --epochs 12 --batch 2 --crop 32x48 --device cpu"
)


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fcn_deploy", "train", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # sums in the same order in every process
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = finish(process)
    return process.returncode, out, err


def started(folder: Path) -> list[str]:
    """All lines but those of the network and the epochs that a run which ends well prints on standard error."""
    return [f"training; {folder / 'log.jsonl'} gets one line per epoch"]


def epochs_left_out(err: str) -> list[str]:
    """The lines but those of the epochs, which are there also where no terminal is, and of the time of a slow run."""
    lines = err.splitlines()
    assert any(re.fullmatch(r"epoch +\d+  loss .* s", line) for line in lines)
    assert re.match(
        r"fcn8s: [\d,]+ parameters, (random weights|weights of step \d+), cpu; \d+ training images", lines[0]
    )
    return [line for line in lines[1:] if not line.startswith(("epoch ", "an epoch takes "))]


def wait_for_lines(log: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Until the run has logged `count` epochs."""
    for _ in range(100 * PATIENCE_S):
        if log.exists() and len(log.read_text().splitlines()) >= count:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    raise AssertionError(f"{log} did not get {count} lines in {PATIENCE_S} s")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    code, _, err = run(*OPTIONS, "-o", folder)
    assert (code, epochs_left_out(err)) == (0, started(folder))
    return folder


def assert_same_run(one: Path, other: Path) -> None:
    for name in ("last.safetensors", "best.safetensors", "state.safetensors"):
        a, b = load_file(one / name), load_file(other / name)
        assert a.keys() == b.keys()
        assert [key for key in a if not torch.equal(a[key], b[key])] == []
    logs = [[json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()] for folder in (one, other)]
    assert len(logs[0]) == 12
    for a, b in zip(*logs, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}


def test_a_run_stopped_by_ctrl_c_says_how_to_go_on_and_ends_with_the_same_bits(tmp_path, unbroken):
    folder = tmp_path / "run"
    process = start(*OPTIONS, "-o", folder)
    wait_for_lines(folder / "log.jsonl", 2, process)
    process.send_signal(signal.SIGINT)
    out, err = finish(process)
    assert (process.returncode, out) == (130, "")
    first, last = epochs_left_out(err)
    assert [first] == started(folder)
    assert last.startswith("stopped: ")
    assert last.endswith(f"go on with: fcn-deploy train --resume -o {folder}")
    code, out, err = run("--resume", "-o", folder)
    assert (code, epochs_left_out(err)) == (0, started(folder))
    assert "12 epochs, 60 steps" in out
    assert_same_run(unbroken, folder)


@pytest.mark.long
def test_a_run_that_is_killed_twice_ends_with_the_same_bits(tmp_path, unbroken):
    folder = tmp_path / "run"
    for lines, arguments in ((3, OPTIONS), (7, ["--resume"])):
        process = start(*arguments, "-o", folder)
        wait_for_lines(folder / "log.jsonl", lines, process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    (folder / ".state.safetensors.89abcdef.tmp").mkdir(exist_ok=True)  # as a kill during a save leaves it
    code, _, err = run("--resume", "--workers", "1", "-o", folder)
    assert (code, epochs_left_out(err)) == (0, started(folder))
    assert_same_run(unbroken, folder)
    assert list(folder.glob(".*")) == []


def test_ctrl_c_reaches_the_loading_processes_without_a_traceback(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "fcn_deploy", "train", *OPTIONS, "--workers", "2", "-o", str(folder)]
    process = subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    wait_for_lines(folder / "log.jsonl", 1, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process of the group
    _, err = finish(process)
    assert process.returncode == 130
    assert [line.partition(" ")[0] for line in epochs_left_out(err)] == ["training;", "stopped:"]


def test_a_finished_run_says_so_and_the_summary_can_be_json(shell, unbroken):
    code, out, err = shell("train", *OPTIONS, "-o", unbroken)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {unbroken} holds a finished run (12 epochs, best mIoU ")
    code, out, err = shell("train", "--resume", "--json", "-", "-o", unbroken)
    summary = json.loads(out)
    assert (code, err, summary["epochs"], summary["steps"]) == (0, "", 12, 60)
    assert summary["best"] == str(unbroken / "best.safetensors")
    code, out, err = shell("train", "--resume", "--lr", "0.5", "-o", unbroken)
    assert (code, err) == (
        1,
        f"error: {unbroken} holds another run (lr was 0.01, now 0.5); use its options, another folder, or --restart\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Missing option '-o'"),
        (["-o", "run"], 2, "Missing option '--data'"),
        (["--data", "synthetic:2", "-o", "run"], 2, "Missing option '--val'"),
        ([*OPTIONS, "--crop", "12", "-o", "run"], 2, "'12' is not a height and a width"),
        ([*OPTIONS, "--scale", "a,b", "-o", "run"], 2, "'a,b' is not a range"),
        ([*OPTIONS, "--model", "fcn8", "-o", "run"], 1, "error: unknown model 'fcn8'; did you mean fcn8s"),
        ([*OPTIONS, "--data", "nowhere.txt", "-o", "run"], 1, "error: data set nowhere.txt does not exist"),
        ([*OPTIONS, "--epochs", "0", "-o", "run"], 2, "0 is not in the range 1<=x<=1000000"),
        ([*OPTIONS, "--model", "fcn-resnet50", "--head", "fc", "-o", "run"], 1, "error: fcn-resnet50 cannot be built"),
        (["--resume", "-o", "run"], 1, "error: no run in run to resume; to begin one, give at least --data and --val"),
        (
            [*OPTIONS, "--seed", "99999999999999999999999", "-o", "run"],
            2,
            "is not in the range 0<=x<=9223372036854775807",
        ),
        ([*OPTIONS, "-o", "/dev/null/run"], 1, "error: cannot write /dev/null/run"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(tmp_path, monkeypatch, shell, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    found, out, err = shell("train", *arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_training_on_the_generated_data_beats_predicting_one_class(tmp_path):
    """200 steps learn the large regions: one class everywhere scores at most 1/8 in the mean over eight classes."""
    options = (
        "--data synthetic:40:0:64x96 --val synthetic:10:1:64x96 --width 0.0625 --head pool5 --epochs 20 "
        "--batch 4 --crop 64x96 --eval-every 20 --device cpu --json -"
    )
    code, out, err = run(*shlex.split(options), "-o", tmp_path / "run")
    assert (code, epochs_left_out(err)) == (0, started(tmp_path / "run"))
    assert json.loads(out)["mean_iou"] > 0.2
