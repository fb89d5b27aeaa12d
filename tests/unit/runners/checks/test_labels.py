"""Labels of another size than the image's are refused wherever a model runs."""

from __future__ import annotations

import numpy as np
import pytest

import fcn_deploy
from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.registry import open_runner
from tests.support.foreign_nets import MEAN, STD, foreign_net, unet


def test_labels_of_a_quarter_of_the_image_are_refused_and_adopt_is_named(tmp_path):
    net = foreign_net(tmp_path / "net.onnx", image="uint8", layout="NHWC", stride=4)
    image = np.zeros((48, 64, 3), np.uint8)
    message = "gives labels 1x12x16 for images 1x48x64; `fcn-deploy adopt` writes a file that fits"
    with fcn_deploy.load(net) as model, pytest.raises(RunnerError, match=message):
        model(image)
    with open_runner("onnxruntime", str(net)) as runner:
        ticket = runner.submit(image[None])
        with pytest.raises(RunnerError, match=message):
            runner.result(ticket)


def test_predict_writes_nothing_of_them(shell, tmp_path):
    from PIL import Image

    net = foreign_net(tmp_path / "net.onnx", image="uint8", layout="NHWC", output="nhwc")
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    done = shell("predict", net, tmp_path / "a.png", "-o", tmp_path / "out", "--overlay")
    assert done.code != 0
    assert "gives labels 1x64x4 for images 1x48x64" in done.err
    assert not list(tmp_path.glob("out/**/*.png"))


def test_one_channel_of_logits_is_refused_because_its_arg_max_is_always_0(shell, tmp_path):
    net = foreign_net(tmp_path / "net.onnx", image="uint8", layout="NHWC", classes=1)
    done = shell("evaluate", net, "--data", "synthetic:1:0:48x64")
    assert "its logits have one channel, whose arg max is always 0; `fcn-deploy adopt` writes such a file" in done.err


def test_an_adopted_unet_names_the_sizes_that_it_takes(tmp_path):
    report = fcn_deploy.adopt(unet(tmp_path / "unet.onnx"), tmp_path / "u.fcn.onnx", mean=MEAN, std=STD)
    with fcn_deploy.load(report.path) as model:
        assert model(np.zeros((48, 64, 3), np.uint8)).shape == (48, 64)
        with pytest.raises(RunnerError, match="the model takes sides that are multiples of 8, not 33x47"):
            model(np.zeros((33, 47, 3), np.uint8))
