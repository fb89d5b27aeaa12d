"""Tests of what a folder of a run is, and of what training never replaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fcn_deploy.errors import FcnDeployError, TrainingError
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.folder import FILES, saved_run, sole_run
from fcn_deploy.training.loop import run_training
from tests.support.training_runs import killed_at, tiny_runs


@pytest.fixture
def config(tmp_path: Path) -> Iterator[TrainConfig]:
    with tiny_runs(tmp_path / "run") as tiny:
        yield tiny


@pytest.mark.parametrize("start", ["new", "restart", "resume"])
@pytest.mark.parametrize("name", [*FILES[1:], "val/list.txt"])
def test_files_of_no_run_are_left_alone(config, name, start):
    path = config.output / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"work of a month")
    with pytest.raises(TrainingError, match=rf"holds {name}, which no run .* choose another folder"):
        run_training(replace(config, val="0.5"), start=start)
    assert path.read_bytes() == b"work of a month"


@pytest.mark.parametrize("start", ["new", "restart"])
def test_a_state_of_something_else_is_left_alone(config, start):
    config.output.mkdir()
    state = config.output / "state.safetensors"
    state.write_bytes(b"optimizer of another trainer")
    with pytest.raises(TrainingError, match="state"):
        run_training(config, start=start)
    assert state.read_bytes() == b"optimizer of another trainer"


@pytest.mark.parametrize("start", ["new", "restart", "resume"])
@pytest.mark.parametrize("name", ["state.safetensors", "log.jsonl"])
def test_a_pipe_in_place_of_a_file_of_a_run_is_not_waited_for(config, name, start):
    config.output.mkdir()
    os.mkfifo(config.output / name)
    with pytest.raises(FcnDeployError, match=rf"{name}.*(it is a pipe|no run of fcn-deploy wrote)|device or a pipe"):
        run_training(config, start=start)


def test_other_files_of_the_folder_stay_when_a_run_starts_again(config):
    killed_at(3, config)
    (config.output / "notes.txt").write_text("mine")
    run_training(replace(config, epochs=1), start="restart")
    assert (config.output / "notes.txt").read_text() == "mine"


def test_a_run_that_is_killed_before_its_first_state_starts_again(config):
    config.output.mkdir()
    (config.output / "log.jsonl").write_text("")
    (config.output / "best.safetensors").write_bytes(b"of its first epoch")
    assert saved_run(config, "new") is None


@pytest.mark.parametrize("start", ["new", "resume"])
def test_a_run_that_lost_its_state_is_not_replaced_without_restart(config, start):
    killed_at(3, config)
    state = config.output / "state.safetensors"
    state.unlink()
    best = (config.output / "best.safetensors").read_bytes()
    with pytest.raises(TrainingError, match=r"whose state.safetensors is gone, .* or --restart"):
        run_training(config, start=start)
    assert (config.output / "best.safetensors").read_bytes() == best
    assert run_training(replace(config, epochs=1), start="restart").position.step > 0


def test_a_second_training_in_a_folder_is_refused_while_the_first_goes_on(config):
    with (
        sole_run(config.output),
        pytest.raises(TrainingError, match=r"another process is training in .*run; wait for its end, or choose"),
    ):
        run_training(config, start="restart")
    assert not config.output.exists(), "an empty folder was left"


def test_a_forked_process_holds_no_folder(config):
    with sole_run(config.output):
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(ours, 1)
            os._exit(0)
    with sole_run(config.output):  # while the child lives
        os.write(theirs, b".")
    assert os.waitpid(child, 0)[1] == 0
