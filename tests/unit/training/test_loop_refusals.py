"""What a run refuses to begin or to go on with, and how it stops at what it cannot use."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import get_worker_info

from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.errors import CheckpointError, DataError, ImageError, LabelError, OutputError, TrainingError
from fcn_deploy.models.network import load_network
from fcn_deploy.system.apart import apart
from fcn_deploy.training import state as state_module
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.loop import run_training
from fcn_deploy.training.run import Run
from fcn_deploy.training.state import read_saved_state
from fcn_deploy.training.step import Stepper
from tests.support.recorded_progress import RecordedProgress
from tests.support.training_runs import killed_at, same_tensors, tiny_runs


@pytest.fixture
def config(tmp_path: Path) -> Iterator[TrainConfig]:
    with tiny_runs(tmp_path / "run") as tiny:
        yield tiny


def test_a_folder_with_a_run_is_left_alone_without_resume_or_restart(config):
    killed_at(3, config)
    with pytest.raises(TrainingError, match=r"stopped after 1 of 3 epochs; --resume goes on, --restart starts over"):
        run_training(config)
    with pytest.raises(TrainingError, match=r"another run \(lr was 0.01, now 0.5\)"):
        run_training(replace(config, lr=0.5), start="resume")
    run_training(config, start="resume")
    with pytest.raises(TrainingError, match=r"finished run \(3 epochs, best mIoU .*%\); choose another folder"):
        run_training(config)
    before = (config.output / "last.safetensors").read_bytes()
    assert run_training(config, start="resume").position.step == 6
    assert (config.output / "last.safetensors").read_bytes() == before
    assert run_training(replace(config, lr=0.005), start="restart").resumed is False


def test_resuming_on_other_data_is_refused(config):
    killed_at(1, config)
    with pytest.raises(TrainingError, match="data was synthetic:5:0:33x47, now synthetic:6:0:33x47"):
        run_training(replace(config, data="synthetic:6:0:33x47"), start="resume")


def test_resuming_without_a_run_starts_one(config):
    assert run_training(replace(config, epochs=1), start="resume").resumed is False


def test_a_state_that_is_not_one_says_so(config):
    config.output.mkdir()
    state = config.output / "state.safetensors"
    state.write_bytes(b"not a state")
    with pytest.raises(TrainingError, match=r"not the state of a run .* --restart starts over"):
        run_training(config, start="resume")
    (config.output / "log.jsonl").write_text("")  # as a run leaves it before its first epoch
    run_training(replace(config, epochs=1), start="restart")


def test_a_loss_that_explodes_stops_the_run_with_advice(config):
    with pytest.raises(
        TrainingError, match=r"no longer a finite number at step \d+ .*--lr 1e\+29 or a longer --warmup"
    ):
        run_training(replace(config, lr=1e30, clip_norm=0.0))


def test_a_last_step_that_spoils_the_weights_leaves_no_checkpoint(config, monkeypatch):
    """The loss is told before the step, so nothing else would notice the last one."""
    step = Stepper.step

    def spoil(self, batch, number, lr):
        told = step(self, batch, number, lr)
        with torch.no_grad():
            next(self.contract.parameters()).fill_(float("inf"))
        return told

    monkeypatch.setattr(Stepper, "step", spoil)
    with pytest.raises(TrainingError, match=r"largest weight is no longer a finite number .*--restart"):
        run_training(replace(config, epochs=1, batch=100))
    assert not (config.output / "last.safetensors").exists()


def write_pairs(folder: Path, count: int, names: str, value: int = 1) -> str:
    """A list of `count` grey images of 33 x 47 with labels 0 and `value`, and its classes.txt."""
    folder.mkdir()
    lines = []
    for index in range(count):
        Image.fromarray(np.full((33, 47, 3), 40 * index, np.uint8)).save(folder / f"{index}.png")
        label = np.zeros((33, 47), np.uint8)
        label[:, 20:] = value
        Image.fromarray(label).save(folder / f"{index}-label.png")
        lines.append(f"{index}.png {index}-label.png\n")
    (folder / "list.txt").write_text("".join(lines))
    (folder / "classes.txt").write_text(names)
    return str(folder / "list.txt")


def test_different_classes_in_training_and_validation_are_refused(config, tmp_path):
    one, other = write_pairs(tmp_path / "a", 2, "sky\nroad\n"), write_pairs(tmp_path / "b", 2, "sky\ntree\n")
    with pytest.raises(DataError, match=r"class 1 is 'road' in .* and 'tree' in .*--classes"):
        run_training(replace(config, data=one, val=other))
    more = write_pairs(tmp_path / "c", 2, "sky\nroad\ntree\n")
    with pytest.raises(DataError, match=r"has 2, .* has 3"):
        run_training(replace(config, data=one, val=more))
    assert run_training(replace(config, data=one, val=other, classes=("sky", "road"), epochs=1)).position.step == 1


def test_labels_outside_the_classes_stop_the_run_whatever_process_reads_them(config, tmp_path):
    source = write_pairs(tmp_path / "a", 2, "sky\nroad\n", value=9)
    for workers in (0, 1):
        with pytest.raises(LabelError) as caught:
            run_training(replace(config, data=source, val=source, workers=workers), start="restart")
        assert "\n" not in str(caught.value)


def test_an_unreadable_image_stops_the_run_or_is_left_out_as_asked(config, tmp_path):
    source = write_pairs(tmp_path / "a", 3, "sky\nroad\n")
    (tmp_path / "a" / "1.png").write_bytes(b"\x89PNG\r\n cut off")
    with pytest.raises(ImageError, match=r"1\.png"):
        run_training(replace(config, data=source, val=source))
    recorded = RecordedProgress()
    config = replace(config, data=source, val=source, bad_images="skip")
    run_training(config, start="restart", progress=recorded)
    assert sum("left out: " in line and "1.png" in line for line in recorded.lines) == 1
    assert sum("skipped: " in line and "1.png" in line for line in recorded.lines) == 1  # by the validation, once
    records = read_saved_state(config.output / "state.safetensors").position.history
    assert [record.left_out for record in records] == [2, 2, 2]  # it is in the training and in the validation set
    assert json.loads((config.output / "log.jsonl").read_text().splitlines()[2])["left_out"] == 2
    for index in (0, 2):
        (tmp_path / "a" / f"{index}.png").write_bytes(b"")
    with pytest.raises(TrainingError, match="no labelled pixel in its 3 images"):
        run_training(config, start="restart")


def test_a_loading_process_that_dies_is_an_expected_error(config, monkeypatch):
    scene = SyntheticDataset.__getitem__
    monkeypatch.setattr(
        SyntheticDataset, "__getitem__", lambda self, index: os._exit(9) if get_worker_info() else scene(self, index)
    )
    with pytest.raises(TrainingError, match=r"--resume with fewer --workers than 1"):
        run_training(replace(config, workers=1))


def test_a_loading_process_that_dies_during_a_step_is_an_expected_error(config, monkeypatch):
    def kill_the_loader(self, batch, number, lr):
        os.kill(active_children()[0].pid, signal.SIGKILL)
        time.sleep(10)  # PyTorch's SIGCHLD handler ends it
        return 1.0, 1

    monkeypatch.setattr(Stepper, "step", kill_the_loader)
    with pytest.raises(TrainingError, match=r"--resume with fewer --workers than 1"):
        run_training(replace(config, workers=1))


def test_batch_norm_of_one_value_a_channel_says_what_to_change(config):
    one = replace(config, model="fcn-resnet50", options={"width": 0.02}, batch=1, crop=(8, 8))
    with pytest.raises(TrainingError, match=r"a batch of 1 at --crop 8x8; make the crop larger, or --batch"):
        run_training(one)


def test_what_a_kill_left_half_written_is_swept_away_and_nothing_else(config):
    killed_at(3, config)
    half = [config.output / f".{name}.0123abcd.tmp" for name in ("state.safetensors", "best.safetensors", "log.jsonl")]
    kept = [config.output / name for name in (".notes.txt.0123abcd.tmp", ".log.jsonl.tmp", "log.jsonl.0123abcd.tmp")]
    for folder in half + kept:
        folder.mkdir()
        (folder / "part").write_bytes(b"half")
    run_training(config, start="resume")
    assert [folder for folder in half if folder.exists()] == []
    assert [folder for folder in kept if not folder.exists()] == []


def test_a_finished_run_whose_page_a_kill_prevented_gets_it_from_resume(config):
    run_training(config)
    page = config.output / "report.html"
    whole = page.read_bytes()
    page.unlink()
    with apart():
        run_training(config, start="resume")
    assert page.read_bytes() == whole


def test_a_kill_between_the_first_state_and_its_log_is_resumed_with_the_whole_log(config):
    run_training(config)
    log = config.output / "log.jsonl"
    lines = log.read_text()
    log.write_text("")
    (config.output / "report.html").unlink()
    run_training(config, start="resume")
    assert log.read_text() == lines


def test_a_set_without_labels_is_refused_before_an_epoch_is_spent(config, tmp_path):
    source = write_pairs(tmp_path / "a", 2, "sky\nroad\n")
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (47, 33)).save(images / "0.png")
    with pytest.raises(DataError, match=r"--val .*images has no labels; .*--val-labels"):
        run_training(replace(config, data=source, val=str(images), classes=("sky", "road")))
    with pytest.raises(DataError, match=r"--data .*images has no labels; .*--labels"):
        run_training(replace(config, data=str(images), val=source, classes=("sky", "road")))
    assert not config.output.exists()


def test_a_validation_set_without_a_labelled_pixel_is_refused(config, tmp_path):
    source = write_pairs(tmp_path / "a", 2, "sky\nroad\n")
    void = write_pairs(tmp_path / "b", 2, "sky\nroad\n", value=255)
    for index in range(2):
        Image.new("L", (47, 33), 255).save(tmp_path / "b" / f"{index}-label.png")
    with pytest.raises(DataError, match="no labelled pixel"):
        run_training(replace(config, data=source, val=void))


def test_a_validation_set_of_one_class_has_no_boundary_and_that_is_fine(config, tmp_path):
    source = write_pairs(tmp_path / "a", 2, "sky\nroad\n")
    sky = write_pairs(tmp_path / "b", 2, "sky\nroad\n", value=0)
    record = run_training(replace(config, data=source, val=sky, epochs=1)).position.history[0]
    assert record.mean_iou is not None
    assert record.boundary_mean_iou is None


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(config, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(Run, "train", lambda self, stop: pytest.fail("it began"))
    with pytest.raises(OutputError, match="a part of its path is a file"):
        run_training(replace(config, output=tmp_path / "file" / "run"))


def test_a_full_disk_leaves_the_earlier_files_and_the_run_can_go_on(config, tmp_path, monkeypatch):
    whole = replace(config, output=tmp_path / "whole")
    run_training(whole)
    save, saves = state_module.save_file, []

    def full(tensors, path, metadata):
        saves.append(path)
        if len(saves) == 4:
            Path(path).write_bytes(b"half a state")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(tensors, path, metadata)

    monkeypatch.setattr(state_module, "save_file", full)
    with pytest.raises(OutputError, match=r"state.safetensors: no space is left on the device"):
        run_training(config)
    assert sorted(path.name for path in config.output.iterdir()) == [
        "best.safetensors", "last.safetensors", "log.jsonl", "state.safetensors",
    ]  # fmt: skip
    load_network(config.output / "last.safetensors")
    run_training(config, start="resume")
    assert same_tensors(whole.output / "last.safetensors", config.output / "last.safetensors")


def test_a_checkpoint_to_start_from_that_is_missing_is_an_expected_error(config):
    with pytest.raises(CheckpointError, match="does not exist"):
        run_training(replace(config, init="nowhere.safetensors"))
