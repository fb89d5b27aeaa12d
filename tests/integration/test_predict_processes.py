"""`fcn-deploy predict` of so many images that processes decode and write them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image

from fcn_deploy.data.images import load_label
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.prediction.labeller import ENOUGH_IMAGES
from tests.integration.test_predict_command import files, wait_for_results
from tests.support.child_process import finish
from tests.support.onnx_files import write_graph

COUNT = ENOUGH_IMAGES + 300
CODE = """
from fcn_deploy.cli.main import main
from fcn_deploy.prediction import labeller

labeller.ENOUGH_CORES = 1
main()
"""


def start(*arguments: object, **options) -> subprocess.Popen[str]:
    """Start `fcn-deploy predict` as on a machine with enough cores."""
    return subprocess.Popen(
        [sys.executable, "-c", CODE, "predict", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def onnx(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("models") / "small.onnx")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """`COUNT` images in one folder, as links to six files."""
    folder = tmp_path_factory.mktemp("many") / "photos"
    folder.mkdir()
    for index in range(COUNT):
        if index < 6:
            Image.fromarray(SyntheticDataset(6, 0, (180, 240))[index].image).save(folder / f"{index:03}.jpg")
        else:
            os.link(folder / f"{index % 6:03}.jpg", folder / f"{index:03}.jpg")
    return folder.parent


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_all_processes_leaves_whole_results_and_no_process(onnx, many, tmp_path, sent, code):
    masks = tmp_path / "masks"
    process = start(onnx, many, "-o", masks, "--workers", "2", start_new_session=True)
    wait_for_results(process, masks, 10)
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    os.killpg(process.pid, sent)  # as a terminal's Ctrl-C, and as systemd's stop
    stdout, stderr = finish(process)
    assert (process.returncode, stdout) == (code, "")
    assert "Traceback" not in stderr
    wait_until_gone(workers)
    assert 10 <= len(files(masks)) < COUNT
    assert not list(masks.rglob("*.tmp"))
    for path in masks.rglob("*.png"):
        assert load_label(path).shape == (180, 240)


def test_processes_end_with_a_run_that_was_killed_and_the_next_one_finishes_it(onnx, many, tmp_path):
    masks = tmp_path / "masks"
    process = start(onnx, many, "-o", masks, "--workers", "2")
    wait_for_results(process, masks, 10)
    workers = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    wait_until_gone(workers)
    assert len(files(masks)) < COUNT
    stdout, stderr = finish(start(onnx, many, "-o", masks, "--workers", "2", "--skip-existing"))
    assert stderr == ""
    assert "2 processes decode and write images" in stdout
    assert len(files(masks)) == COUNT


def test_a_worker_that_was_killed_ends_the_run_with_one_line(onnx, many, tmp_path):
    masks = tmp_path / "masks"
    process = start(onnx, many, "-o", masks, "--workers", "2")
    wait_for_results(process, masks, 10)
    workers = psutil.Process(process.pid).children()
    workers[0].kill()
    stdout, stderr = finish(process)
    assert (process.returncode, stdout) == (1, "")
    assert stderr.startswith("error: a process that decodes and writes images was killed (SIGKILL)")
    assert len(stderr.splitlines()) == 1
    wait_until_gone(workers)


def shared_and_own_bytes(process: psutil.Process) -> int:
    """Memory of a process, with its part of what it shares."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def peak_of_all(*arguments: object) -> int:
    """The most memory that the command and its processes had together, looked at all the time."""
    process = start(*arguments)
    most = 0
    parent = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            family = [parent, *parent.children()]
        except psutil.Error:
            break
        most = max(most, sum(map(shared_and_own_bytes, family)))
        time.sleep(0.01)
    _, stderr = finish(process)
    assert process.returncode == 0, stderr
    return most


@pytest.mark.long
def test_more_images_take_no_more_memory_in_all_processes_together(onnx, tmp_path):
    """One image held for each that was labelled would be 400 MB more."""
    source = tmp_path / "one.jpg"
    Image.fromarray(SyntheticDataset(1, 0, (600, 800))[0].image).save(source)
    peaks = []
    for count in (ENOUGH_IMAGES + 100, COUNT + 100):
        folder = Path(tmp_path, str(count))
        folder.mkdir()
        for index in range(count):
            os.link(source, folder / f"{index:03}.jpg")
        peaks.append(peak_of_all(onnx, folder, "-o", tmp_path / f"masks{count}", "--workers", "2"))
    assert peaks[0] > 100 << 20
    assert peaks[1] < peaks[0] + (64 << 20)
