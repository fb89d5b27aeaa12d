"""`fcn-deploy export` as a user calls it."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from fcn_deploy.cli.commands.export import command
from fcn_deploy.errors import CheckpointError, FcnDeployError, OutputError, UnknownNameError
from fcn_deploy.graph.load import read_card
from fcn_deploy.models.checkpoints import save_model
from tests.conftest import tiny_model
from tests.support.child_process import PATIENCE_S, finish


def _export(*arguments: object) -> Result:
    """Run the command; an expected error is raised as the command line's entry point receives it."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if isinstance(result.exception, FcnDeployError):
        raise result.exception
    return result


@pytest.fixture
def caffe_checkpoint(tmp_path: Path) -> Path:
    model, _ = tiny_model("fcn8s-caffe", classes=21)
    path = tmp_path / "fcn8s_from_caffe.pth"
    torch.save({"arch": "FCN8s", "model_state_dict": model.state_dict()}, path)
    return path


def test_a_published_layout_is_recognised_and_its_ticks_are_printed(caffe_checkpoint, tmp_path):
    result = _export(caffe_checkpoint, "-o", tmp_path / "out.onnx")
    assert result.exit_code == 0, result.output
    assert result.output.count("✓") == 9
    assert "fcn8s-caffe, 21 classes" in result.output
    card = read_card(tmp_path / "out.onnx")
    assert (card.channel_order, card.classes[15]) == ("BGR", "person")


def test_a_recipe_names_its_checkpoint_and_its_facts_reach_the_card(caffe_checkpoint, tmp_path):
    recipe = tmp_path / "r.toml"
    md5 = hashlib.md5(caffe_checkpoint.read_bytes()).hexdigest()
    recipe.write_text(
        f'name = "Tiny"\nmodel = "fcn8s-atonce-caffe"\ncheckpoint = "{caffe_checkpoint.name}"\n'
        f'url = "https://example.org/x.pth"\nmd5 = "{md5}"\nmean = [1.0, 2.0, 3.0]\n'
    )
    result = _export(recipe, "-o", tmp_path / "out.onnx", "--json", "-")
    assert "calls itself FCN8s: read as fcn8s-atonce-caffe, as was asked for" in result.stderr
    report = json.loads(result.stdout)
    assert report["card"]["mean"] == [1.0, 2.0, 3.0]
    assert report["card"]["model"] == "fcn8s-atonce-caffe"
    assert len(report["ticks"]) >= 8
    assert all(tick["passed"] for tick in report["ticks"])


def test_the_normalisation_can_be_given_in_units_of_0_to_255_alone(tmp_path):
    given = ["--mean", "127.5,127,126.5", "--std", "128,127,126", "--channel-order", "BGR"]
    _export("demo", *given, "-o", tmp_path / "out.onnx")
    card = read_card(tmp_path / "out.onnx")
    assert (card.mean, card.std, card.channel_order) == ((127.5, 127.0, 126.5), (128.0, 127.0, 126.0), "BGR")
    with pytest.raises(FcnDeployError, match=r"mean is \(0.485, 0.456, 0.406\); .* 0 to 255: 123.675, 116.28, 103.53"):
        _export("demo", "--mean", "0.485,0.456,0.406", "-o", tmp_path / "x.onnx")
    with pytest.raises(FcnDeployError, match="std above 0"):
        _export("demo", "--std", "1,0,1", "-o", tmp_path / "x.onnx")
    for wrong, message in (("1,2", "is not three numbers"), ("a,b,c", "is not three numbers"), ("", "it is empty")):
        assert message in _export("demo", "--std", wrong, "-o", tmp_path / "x.onnx").output
    assert not (tmp_path / "x.onnx").exists()


def test_an_exported_file_is_exported_again_with_other_outputs(tmp_path):
    model, card = tiny_model("fcn32s")
    save_model(tmp_path / "m.safetensors", model, card)
    _export(tmp_path / "m.safetensors", "-o", tmp_path / "a.onnx")
    result = _export(tmp_path / "a.onnx", "-o", tmp_path / "b.onnx", "--outputs", "labels,logits")
    assert result.exit_code == 0, result.output


def test_a_mistyped_model_or_output_is_answered_with_the_near_name(caffe_checkpoint, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean fcn8s-caffe"):
        _export(caffe_checkpoint, "--model", "fcn8s-cafe", "-o", tmp_path / "x.onnx")
    with pytest.raises(UnknownNameError, match="did you mean logits"):
        _export(caffe_checkpoint, "--outputs", "logit", "-o", tmp_path / "x.onnx")


def test_a_wrong_class_count_names_both_counts(caffe_checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match=r"21.*3|3.*21"):
        _export(caffe_checkpoint, "--classes", "a,b,c", "-o", tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


class _Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bomb.pth").write_bytes(pickle.dumps(_Bomb()))
    torch.save({"state_dict": _Bomb()}, tmp_path / "zip_bomb.pth")
    for name in ("bomb.pth", "zip_bomb.pth"):
        with pytest.raises(CheckpointError):
            _export(name, "-o", "x.onnx")
    assert not (tmp_path / "exploded").exists()


def test_a_truncated_checkpoint_is_one_line_and_exit_code_1(caffe_checkpoint, tmp_path, shell):
    caffe_checkpoint.write_bytes(caffe_checkpoint.read_bytes()[:-5000])
    code, _, err = shell("export", caffe_checkpoint, "-o", tmp_path / "x.onnx")
    assert code == 1
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "x.onnx").exists()


def test_a_folder_that_cannot_be_written_is_one_line(caffe_checkpoint):
    with pytest.raises(OutputError, match="cannot write"):
        _export(caffe_checkpoint, "-o", "/proc/nowhere/x.onnx")


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.long), (signal.SIGTERM, 143)]
)
def test_ctrl_c_and_a_polite_kill_leave_nothing(caffe_checkpoint, tmp_path, number, code):
    folder = tmp_path / "out"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "fcn_deploy", "export", caffe_checkpoint, "-o", folder / "x.onnx"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_S
    while not list(folder.glob(".x.onnx.*.tmp")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = finish(process)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert list(folder.iterdir()) == []
