"""Without images a rewritten file runs at a size that it takes, whatever its input is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fcn_deploy
from fcn_deploy.errors import GraphError, RunnerError
from fcn_deploy.quantization.quantize import quantize
from tests.support.foreign_nets import MEAN, STD, foreign_net, unet


@pytest.mark.parametrize("options", [
    {},
    {"layout": "NHWC", "output": "nhwc"},
    {"image": "uint8", "layout": "NHWC", "fixed": (48, 64)},
    {"image": "uint8", "layout": "NHWC", "ir": 14},
], ids=str)  # fmt: skip
def test_fp16_needs_neither_normalisation_nor_a_size_of_its_own(options, tmp_path):
    net = foreign_net(tmp_path / "net.onnx", **options)
    report = quantize(net, tmp_path / "half.onnx", precision="fp16")
    assert report.half is not None
    assert len(report.half.converted) >= 5


def test_a_unet_is_tried_at_a_multiple_of_its_divisor(tmp_path):
    adopted = fcn_deploy.adopt(unet(tmp_path / "unet.onnx"), tmp_path / "u.onnx", mean=MEAN, std=STD)
    quantize(adopted.path, tmp_path / "half.onnx", precision="fp16")
    quantize(unet(tmp_path / "unet.onnx"), tmp_path / "half.onnx", precision="fp16")  # no card tells the divisor


def test_images_of_another_size_than_the_fixed_one_are_refused_in_one_line(tmp_path):
    net = foreign_net(tmp_path / "net.onnx", image="uint8", layout="NHWC", fixed=(48, 64))
    with pytest.raises(GraphError, match=r"on calibration image 1: the file takes .* alone, not 1x32x32"):
        quantize(net, tmp_path / "q.onnx", precision="int8", calibration="synthetic:2:0:32x32")
    message = re.escape("failed while running: the file takes [1, 48, 64, 3] alone, not 1x32x32")
    with pytest.raises(RunnerError, match=message):
        fcn_deploy.evaluate(net, "synthetic:1:0:32x32")


def test_calibration_images_that_a_unet_does_not_take_are_refused_with_the_sizes_that_it_takes(tmp_path):
    adopted = fcn_deploy.adopt(unet(tmp_path / "unet.onnx"), tmp_path / "u.onnx", mean=MEAN, std=STD)
    with pytest.raises(GraphError, match="on calibration image 1: the model takes sides that are multiples of 8, not"):
        quantize(adopted.path, tmp_path / "q.onnx", precision="int8", calibration=_odd_images(tmp_path))


def _odd_images(folder: Path) -> str:
    (folder / "odd").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (33, 47, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "odd" / "a.png")
    return str(folder / "odd")
