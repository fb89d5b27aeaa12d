"""Every kind of foreign file goes through the commands that follow adopt: evaluate, quantize, build-engine, package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fcn_deploy
from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import RecipeError
from fcn_deploy.models.registry import build
from tests.support.bench_model import invoke
from tests.support.foreign_nets import MEAN, STD, foreign_net, unet

SIZE = (64, 96)
NORMALISED = {"mean": MEAN, "std": STD}


def _data(folder: Path, classes: tuple[str, ...], size: tuple[int, int] = SIZE) -> DataOptions:
    """Three images of noise over a ramp, with labels of every class."""
    generator = np.random.default_rng(5)
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for number in range(3):
        ramp = np.linspace(0, 150, size[1])[None, :, None]
        pixels = (ramp + generator.integers(0, 106, (*size, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        labels = generator.integers(0, len(classes), size).astype(np.uint8)
        Image.fromarray(labels).save(folder / "labels" / f"{number}.png")
    return DataOptions(str(folder / "images"), labels=str(folder / "labels"), classes=classes)


def _all_commands(net: Path, folder: Path, size: tuple[int, int] = SIZE, **given: Any) -> None:
    """Adopt `net`, run what follows, and compare its labels with those of the adopted file."""
    adopted = fcn_deploy.adopt(net, folder / "a.fcn.onnx", **given)
    assert all(tick.passed for tick in adopted.ticks)
    data = _data(folder, adopted.card.classes, size)
    accuracy = fcn_deploy.evaluate(adopted.path, data)
    assert accuracy.images == 3
    if "float16" not in adopted.image.dtype.name.lower():
        report = fcn_deploy.quantize(adopted.path, folder / "q.onnx", precision="int8", target="cpu", calibration=data)
        assert report.agreement is not None
        assert report.agreement.fraction > 0.8
        assert fcn_deploy.evaluate(folder / "q.onnx", data).images == 3
        half = fcn_deploy.quantize(adopted.path, folder / "h.onnx", precision="fp16", calibration=data)
        assert half.agreement is not None
        assert half.agreement.fraction > 0.98
    invoke("package", str(adopted.path), "-o", str(folder / "repository"))
    assert (folder / "repository" / "a.fcn" / "1" / "model.onnx").is_file()
    pytest.importorskip("tensorrt_rtx")
    shape = (1, *size)
    engine = fcn_deploy.build_engine(
        adopted.path, folder / "a.engine", profiles=[fcn_deploy.Profile(shape, shape, shape)]
    )
    assert engine.built
    assert engine.sidecar.card is not None
    assert engine.sidecar.card.is_foreign


@pytest.mark.parametrize("options", [
    {},
    {"image": "float16"},
    {"layout": "NHWC", "output": "nhwc"},
    {"stride": 4},
    {"stride": 4, "output": "labels1"},
    {"output": "softmax"},
    {"output": "sigmoid", "classes": 1},
    {"output": "aux"},
    {"opset": 11},
    {"ir": 14},
], ids=str)  # fmt: skip
def test_each_kind_goes_through_every_command(options, tmp_path):
    _all_commands(foreign_net(tmp_path / "net.onnx", **options), tmp_path, **NORMALISED)


def test_a_unet_goes_through_every_command(tmp_path):
    _all_commands(unet(tmp_path / "unet.onnx"), tmp_path, **NORMALISED)


def test_a_uint8_file_goes_through_every_command(tmp_path):
    _all_commands(foreign_net(tmp_path / "net.onnx", image="uint8", layout="NHWC"), tmp_path)


def test_a_file_of_fixed_size_goes_through_every_command_at_its_size(tmp_path):
    _all_commands(foreign_net(tmp_path / "net.onnx", fixed=(48, 64)), tmp_path, (48, 64), **NORMALISED)


def test_search_audit_diagnose_inspect_and_predict_take_an_adopted_file(shell, tmp_path):
    adopted = fcn_deploy.adopt(foreign_net(tmp_path / "net.onnx"), tmp_path / "a.fcn.onnx", **NORMALISED)
    data = _data(tmp_path, adopted.card.classes)
    labelled = ["--labels", tmp_path / "labels"]
    done = shell(
        "quantize", adopted.path, "--precision", "int8", "--calib", tmp_path / "images", "--data", data.source,
        "--data-labels", tmp_path / "labels", "--max-miou-drop", "50", "-o", tmp_path / "s.onnx",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert shell("audit", adopted.path).code == 0
    found = shell("diagnose", adopted.path, tmp_path / "s.onnx", "--data", data.source)
    assert found.code in (0, 3), found.err
    assert "was adopted from another tool" in found.err
    done = shell("predict", adopted.path, tmp_path / "images", "-o", tmp_path / "out", "--tile", "48")
    assert done.code == 0, done.err
    assert "labels as of the whole image" in done.err + done.out
    with Image.open(tmp_path / "out" / "0.png") as written:
        assert written.size == SIZE[::-1]
    with pytest.raises(RecipeError, match="the network was adopted from another tool, so PyTorch has none of it"):
        build(adopted.card)
    refused = shell("evaluate", adopted.path, "--runner", "pytorch", "--data", data.source, *labelled)
    assert refused.code == 1
    assert "was adopted from another tool, so PyTorch has no network of it; run it with onnxruntime" in refused.err


def test_the_report_as_json_has_the_proof_and_the_sizes(shell, tmp_path):
    done = shell(
        "adopt", foreign_net(tmp_path / "net.onnx"), "--scale", "255", "-o", tmp_path / "a.onnx", "--json", "-"
    )
    found = json.loads(done.out)
    assert (found["divisor"], found["image"]["dtype"], found["scores"]["classes"]) == (1, "FLOAT", 4)
    assert [tick["passed"] for tick in found["ticks"]] == [True] * 5
