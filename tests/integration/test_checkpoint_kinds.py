"""Checkpoints as training scripts leave them, through export and every command after it."""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from fcn_deploy.cli.main import cli
from fcn_deploy.data.synthetic.dataset import SYNTHETIC_CLASSES
from tests.support.reference_nets import State, caffe_state, deeplab_state, resnet_state

BLOCKS = (3, 4, 6, 3)
IMAGES = "synthetic:2:0:64x96"


def _prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


def _torchvision_script() -> dict[str, Any]:
    arguments = argparse.Namespace(model="deeplabv3_resnet50", aux_loss=True)
    return {"model": deeplab_state(8, BLOCKS), "optimizer": {"state": {}}, "epoch": 29, "args": arguments}


def _new_head_old_aux() -> State:
    old = {key: value for key, value in resnet_state(21, BLOCKS).items() if key.startswith("aux_classifier.")}
    return resnet_state(8, BLOCKS) | old


def _trainer() -> dict[str, Any]:
    return {"arch": "FCN8sAtOnce", "model_state_dict": caffe_state("fcn8s-caffe", 8), "optim_state_dict": {}}


def _lightning_average() -> dict[str, Any]:
    state = _prefixed(caffe_state("fcn16s-caffe", 8), "model.")
    return {"state_dict": {key: value.half() for key, value in state.items()}, "ema": {"x": torch.ones(1)}}


KINDS = {
    "model_29.pth": (_torchvision_script, "deeplabv3-resnet50"),
    "finetuned": (_new_head_old_aux, "fcn-resnet50"),
    "model_best.pth.tar": (_trainer, "fcn8s-atonce-caffe"),
    "last.ckpt": (_lightning_average, "fcn16s-caffe"),
}


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


# Networks of full width. The unit tests read such files; from export on they are networks as narrow ones are.
@pytest.mark.long
@pytest.mark.parametrize("name", KINDS)
def test_a_checkpoint_passes_every_command(name: str, tmp_path: Path):
    torch.manual_seed(3)
    make, model = KINDS[name]
    torch.save(make(), tmp_path / name)
    graph, rewritten = tmp_path / "m.onnx", tmp_path / "m.int8.onnx"
    report = json.loads(
        _run("export", tmp_path / name, "--classes", ",".join(SYNTHETIC_CLASSES), "-o", graph, "--json", "-")
    )
    assert (report["card"]["model"], len(report["ticks"])) == (model, 9)
    assert json.loads(_run("inspect", tmp_path / name, "--json", "-"))["found"]["card"]["model"] == model
    scored = [json.loads(_run("evaluate", file, "--data", IMAGES, "--json", "-")) for file in (tmp_path / name, graph)]
    assert scored[0]["overall"] == scored[1]["overall"]
    _run("quantize", graph, "--target", "cpu", "--precision", "int8", "--calib", IMAGES, "-o", rewritten)
    assert "overall" in json.loads(_run("evaluate", rewritten, "--data", IMAGES, "--json", "-"))
    _run("package", graph, "-o", tmp_path / "repository")
    assert (tmp_path / "repository" / "m" / "1" / "model.onnx").is_file()
    if find_spec("tensorrt_rtx") is not None:
        _run("build-engine", graph, "--opt", "1x64x96", "-o", tmp_path / "m.engine")
        assert json.loads(_run("inspect", tmp_path / "m.engine", "--json", "-"))["kind"] == "engine"
