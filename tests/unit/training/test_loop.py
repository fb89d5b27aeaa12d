"""Whole runs at the smallest size: what they leave behind and how they go on."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from fcn_deploy.data.options import DataOptions
from fcn_deploy.evaluation.evaluate import evaluate
from fcn_deploy.models.checkpoints import save_model
from fcn_deploy.models.network import load_network
from fcn_deploy.onnx_export.export import export
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.training import run as run_module
from fcn_deploy.training import state as state_module
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.loop import run_training
from fcn_deploy.training.run import Run
from fcn_deploy.training.state import read_saved_state
from fcn_deploy.training.step import Stepper
from tests.conftest import tiny_model
from tests.support.masks import write_masks
from tests.support.recorded_progress import RecordedProgress
from tests.support.training_runs import killed_at, same_tensors, tiny_runs


@pytest.fixture
def config(tmp_path: Path) -> Iterator[TrainConfig]:
    with tiny_runs(tmp_path / "run") as tiny:
        yield tiny


def test_a_run_leaves_best_last_state_and_a_line_an_epoch(config):
    seen = []
    result = run_training(config, on_epoch=seen.append)
    assert sorted(path.name for path in config.output.iterdir()) == [
        "best.safetensors", "last.safetensors", "log.jsonl", "report.html", "state.safetensors",
    ]  # fmt: skip
    lines = [json.loads(line) for line in (config.output / "log.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 2), (2, 4), (3, 6)]
    assert all(0 < line["loss"] < 10 and 0 <= line["mean_iou"] <= 1 and line["seconds"] > 0 for line in lines)
    assert [record.epoch for record in seen] == [1, 2, 3]
    assert result.stopped_by is None
    best = max(lines, key=lambda line: line["mean_iou"])
    assert (result.position.best_epoch, result.position.best_mean_iou) == (best["epoch"], best["mean_iou"])


def test_the_checkpoints_say_where_they_come_from(config):
    run_training(config)
    model, card = load_network(config.output / "last.safetensors")
    assert (card.model, card.options, card.num_classes) == ("fcn8s", {"width": 0.02}, 8)
    assert card.notes["command"].startswith("fcn-deploy train --data synthetic:5:0:33x47")
    assert card.notes["epoch"] == "3 of 3"
    assert card.notes["training_data"] == "synthetic:5:0:33x47 (5 images)"
    assert not model.training


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_a_run_killed_at_any_step_and_resumed_ends_with_the_same_bits(config, tmp_path, number):
    whole = replace(config, output=tmp_path / "whole")
    run_training(whole)
    killed_at(number, config)
    assert read_saved_state(config.output / "state.safetensors").position.step == number
    result = run_training(config, start="resume")
    assert result.resumed
    for name in ("last.safetensors", "best.safetensors", "state.safetensors"):
        assert same_tensors(whole.output / name, config.output / name)
    for one, other in zip(
        *(read_saved_state(r / "state.safetensors").position.history for r in (whole.output, config.output)),
        strict=True,
    ):
        assert replace(one, seconds=0) == replace(other, seconds=0)


def test_ctrl_c_finishes_the_step_and_the_resumed_run_ends_with_the_same_bits(config, tmp_path, monkeypatch):
    whole = replace(config, output=tmp_path / "whole")
    run_training(whole)
    config = replace(config, save_seconds=1e6)  # only the interruption saves
    step = Stepper.step

    def interrupted(self, batch, number, lr):
        if number == 2:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, number, lr)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "step", interrupted)
        result = run_training(config)
    assert result.stopped_by == signal.SIGINT
    assert result.position.step == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert run_training(config, start="resume").stopped_by is None
    assert same_tensors(whole.output / "last.safetensors", config.output / "last.safetensors")


def test_ctrl_c_during_the_validation_repeats_the_validation_alone(config, tmp_path, monkeypatch):
    whole = replace(config, output=tmp_path / "whole")
    run_training(whole)
    validate = run_module.validate

    def interrupted(*args, **options):
        signal.raise_signal(signal.SIGINT)
        return validate(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "validate", interrupted)
        result = run_training(config)
    assert (result.position.step, result.position.history) == (2, [])
    run_training(config, start="resume")
    assert same_tensors(whole.output / "last.safetensors", config.output / "last.safetensors")
    log = (config.output / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in log] == [
        json.loads(line)["loss"] for line in (whole.output / "log.jsonl").read_text().splitlines()
    ]


def test_ctrl_c_after_the_last_epoch_stops_nothing(config):
    def interrupt(record):
        if record.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    assert run_training(config, on_epoch=interrupt).stopped_by is None


def test_a_kill_around_the_last_save_leaves_the_log_whole(config, monkeypatch):
    save = Run._save_state

    def killed(self):
        save(self)
        if len(self.position.history) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            run_training(config)
    assert run_training(config, start="resume").position.step == 6
    lines = (config.output / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_epochs_quicker_than_their_saving_are_kept_where_they_are_best_or_last(config, monkeypatch):
    """As full-width networks on a GPU have them; a kill then repeats more than one, and ends all the same."""
    save, saved = Run._save_state, []

    def slow(self):
        save(self)
        saved.append(len(self.position.history))
        self.save_after = self.save_epoch_after = math.inf

    monkeypatch.setattr(Run, "_save_state", slow)
    config = replace(config, epochs=5, eval_every=5, save_seconds=1e6)
    whole = replace(config, output=config.output.with_name("whole"))
    run_training(whole)
    assert saved == [1, 5]
    killed_at(7, config)
    assert read_saved_state(config.output / "state.safetensors").position.step == 2
    run_training(config, start="resume")
    assert same_tensors(whole.output / "last.safetensors", config.output / "last.safetensors")
    lines = (config.output / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5]


def test_a_state_from_before_left_out_was_counted_can_be_resumed(config, monkeypatch):
    def older(value):
        data = plain(value)
        data["position"].pop("left_out")
        for record in data["position"]["history"]:
            record.pop("left_out")
        return data

    with monkeypatch.context() as patch:
        patch.setattr(state_module, "plain", older)
        killed_at(3, config)
    with safe_open(config.output / "state.safetensors", framework="pt") as archive:
        assert "left_out" not in str(archive.metadata())
    assert [record.left_out for record in run_training(config, start="resume").position.history] == [0, 0, 0]


def test_the_network_and_the_log_are_named_before_the_first_step(config, monkeypatch):
    recorded = RecordedProgress()
    monkeypatch.setattr(Run, "train", lambda self, stop: None)
    run_training(config, progress=recorded)
    assert recorded.lines == [
        "fcn8s: 64,376 parameters, random weights, cpu; 5 training images, 2 for validation, 2 steps an epoch",
        f"training; {config.output / 'log.jsonl'} gets one line per epoch",
    ]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_run_stopped_at_any_step_leaves_a_checkpoint_that_every_command_takes(config, tmp_path, monkeypatch, number):
    step = Stepper.step

    def interrupted(self, batch, at, lr):
        if at == number:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, at, lr)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "step", interrupted)
        result = run_training(replace(config, save_seconds=1e6))
    model, card = load_network(result.last)
    state = load_file(config.output / "state.safetensors")
    assert all(torch.equal(value, state[f"model.{name}"]) for name, value in model.state_dict().items())
    assert card.notes["epoch"] == f"{(number + 1) / 2:.2f} of 3"
    scores = evaluate(result.last, "synthetic:1:0:33x47")
    assert scores.images == 1
    assert export(result.last, tmp_path / "last.onnx").path.is_file()
    assert run_training(replace(config, init=str(result.last), output=tmp_path / "more", epochs=1)).position.step == 2


def test_a_killed_run_leaves_a_checkpoint_too(config):
    killed_at(1, config)
    assert load_network(config.output / "last.safetensors")[1].notes["epoch"] == "0.50 of 3"


def test_the_log_has_the_iou_of_each_class(config):
    result = run_training(config)
    ious = result.position.history[-1].per_class_iou
    known = [iou for iou in ious if iou is not None]
    assert len(ious) == 8
    assert sum(known) / len(known) == pytest.approx(result.position.history[-1].mean_iou)
    assert json.loads((config.output / "log.jsonl").read_text().splitlines()[-1])["per_class_iou"] == list(ious)
    assert read_saved_state(config.output / "state.safetensors").position.history[-1].per_class_iou == ious


def test_a_split_of_the_training_set_is_listed_and_trained_on(config, tmp_path):
    write_masks(tmp_path / "set", (0, 255), count=5)
    recorded = RecordedProgress()
    own = replace(
        config, data=str(tmp_path / "set/images"), labels=str(tmp_path / "set/masks"), val="0.4", epochs=1,
        classes=("back", "object"), label_values=(0, 255),
    )  # fmt: skip
    result = run_training(own, progress=recorded)
    assert any("3 training images, 2 for validation" in line for line in recorded.lines)
    assert len((config.output / "val/list.txt").read_text().splitlines()) == 2
    data = DataOptions(config.output / "val/list.txt", label_values=(0, 255))
    assert evaluate(result.best, data).overall.mean_iou == pytest.approx(result.position.best_mean_iou)
    both = RecordedProgress()
    run_training(replace(own, val=own.data, val_labels=own.labels), start="restart", progress=both)
    assert sum(line.startswith("--val is --data: its mIoU says nothing of new images") for line in both.lines) == 1
    some = RecordedProgress()
    run_training(replace(own, val=str(config.output / "val/list.txt")), start="restart", progress=some)
    assert any(line.startswith("2 of the 2 validation images are training images too") for line in some.lines)


def test_batch_norm_statistics_survive_a_resume(config, tmp_path):
    config = replace(config, model="fcn-resnet50", options={"width": 0.02}, epochs=2)
    whole = replace(config, output=tmp_path / "whole")
    run_training(whole)
    killed_at(3, config)
    run_training(config, start="resume")
    assert same_tensors(whole.output / "last.safetensors", config.output / "last.safetensors")
    counted = load_file(config.output / "last.safetensors")["backbone.bn1.num_batches_tracked"]
    assert int(counted) == 4


def test_workers_do_not_change_the_result(config, tmp_path):
    run_training(config)
    other = replace(config, output=tmp_path / "other", workers=2)
    run_training(other)
    assert same_tensors(config.output / "last.safetensors", other.output / "last.safetensors")


def test_another_seed_gives_other_weights(config, tmp_path):
    config = replace(config, epochs=1)
    other = replace(config, output=tmp_path / "other", seed=8)
    run_training(config)
    run_training(other)
    assert not same_tensors(config.output / "last.safetensors", other.output / "last.safetensors")


def test_epochs_without_validation_are_logged_as_such_and_the_last_one_is_validated(config):
    run_training(replace(config, eval_every=2))
    scored = [json.loads(line)["mean_iou"] is not None for line in (config.output / "log.jsonl").open()]
    assert scored == [False, True, True]


def test_a_coarser_fcn_hands_its_weights_over(config, tmp_path):
    classes = 6
    source, card = tiny_model("fcn16s", classes=classes, width=0.02)
    save_model(tmp_path / "16s.safetensors", source, card)
    recorded = RecordedProgress()
    config = replace(config, classes=None, init=str(tmp_path / "16s.safetensors"), epochs=1, lr=1e-12)
    run_training(config, progress=recorded)
    trained, _ = load_network(config.output / "last.safetensors")
    # a rate of 1e-12 moves nothing that float32 shows beside weights of this size
    assert torch.allclose(trained.backbone.stage3.conv2.weight, source.backbone.stage3.conv2.weight, atol=1e-7)
    assert any("16s.safetensors: took" in line for line in recorded.lines)


def test_the_state_is_saved_on_time_and_not_at_every_step(config, monkeypatch):
    written = []
    monkeypatch.setattr(Run, "_save_state", lambda self: written.append(self.position.step))
    run_training(replace(config, save_seconds=1e6))
    assert written == [2, 4, 6]  # the ends of the epochs
