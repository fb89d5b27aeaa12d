"""Adopting a file: each kind of input and output, the sizes that it takes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from fcn_deploy.adoption.adopt import AdoptReport, adopt
from fcn_deploy.graph.load import read_card
from fcn_deploy.onnx_export.proof import random_image
from tests.support.foreign_nets import MEAN, STD, foreign_net, unet

NORMALISED = {"mean": MEAN, "std": STD}


def _outputs(path: Path, feed: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: feed}))


def _adopted(path: Path, **options: object) -> AdoptReport:
    return adopt(path, path.with_suffix(".fcn.onnx"), **options)  # type: ignore[arg-type]


def test_labels_are_those_of_the_given_file_on_the_normalised_image(tmp_path):
    """Once more by hand, apart from the proof that adopt itself makes."""
    report = _adopted(foreign_net(tmp_path / "net.onnx"), **NORMALISED, classes=["a", "b", "c", "d"])
    image = random_image((2, 41, 57), 3)
    x = ((image - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).astype(np.float32).transpose(0, 3, 1, 2)
    (scores,) = _outputs(tmp_path / "net.onnx", x)
    (labels,) = _outputs(report.path, image)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, scores.argmax(1))
    assert len(np.unique(labels)) > 1


def test_the_card_says_that_the_network_is_foreign_and_where_it_is_from(tmp_path):
    report = _adopted(foreign_net(tmp_path / "net.onnx"), **NORMALISED, classes=["a", "b", "c", "d"])
    card = read_card(report.path)
    assert (card.model, card.is_foreign, card.classes) == ("foreign", True, ("a", "b", "c", "d"))
    assert (card.mean, card.std, card.channel_order) == (MEAN, STD, "RGB")
    assert card.notes["adopted from"] == "net.onnx"
    assert not card.classes_guessed


@pytest.mark.parametrize("options", [
    {"image": "float16"},
    {"layout": "NHWC", "output": "nhwc"},
    {"stride": 4},
    {"stride": 4, "output": "labels"},
    {"output": "labels1"},
    {"output": "softmax"},
    {"output": "sigmoid", "classes": 1},
    {"classes": 1},
    {"output": "aux"},
], ids=str)  # fmt: skip
def test_each_kind_takes_any_size_and_is_proven(options, tmp_path):
    report = _adopted(foreign_net(tmp_path / "net.onnx", **options), **NORMALISED)
    assert report.divisor == 1
    assert [tick.shape for tick in report.ticks] == [
        (1, 33, 47), (1, 63, 97), (1, 101, 157), (1, 64, 96), (2, 64, 96),
    ]  # fmt: skip
    assert all(tick.passed for tick in report.ticks)
    (labels,) = _outputs(report.path, random_image((1, 35, 50), 0))
    assert labels.shape == (1, 35, 50)
    assert [value.name for value in onnx.load(report.path).graph.output] == ["labels"]


def test_a_unet_takes_multiples_of_its_stride(tmp_path):
    report = _adopted(unet(tmp_path / "unet.onnx"), **NORMALISED)
    assert report.divisor == 8
    assert read_card(report.path).divisor == 8
    assert all(side % 8 == 0 for tick in report.ticks for side in tick.shape[1:])


def test_a_file_of_fixed_size_is_proven_at_it(tmp_path):
    report = _adopted(foreign_net(tmp_path / "net.onnx", fixed=(48, 64)), **NORMALISED)
    assert report.divisor is None
    assert [tick.shape for tick in report.ticks] == [(1, 48, 64)]
    image = onnx.load(report.path).graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in image.dim] == [1, 48, 64, 3]


def test_a_uint8_file_with_a_transpose_before_its_cast_is_cast_first(tmp_path):
    report = _adopted(foreign_net(tmp_path / "net.onnx", image="uint8", layout="NHWC"))
    nodes = onnx.load(report.path).graph.node
    assert [node.op_type for node in nodes if "image" in node.input] == ["Cast"]


def test_without_a_word_on_the_normalisation_it_is_asked_for(shell, tmp_path):
    done = shell("adopt", foreign_net(tmp_path / "net.onnx"))
    assert done.code == 1
    assert "nothing in it tells how its images are normalised; give --mean and --std" in done.err
    assert list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]


def test_the_command_prints_how_the_file_was_read_and_the_proof(shell, tmp_path):
    net, out = foreign_net(tmp_path / "net.onnx", classes=1), tmp_path / "out.onnx"
    done = shell("adopt", net, "--scale", "255", "--classes", "polyp", "--threshold", "0.4", "-o", out)
    assert done.code == 0, done.err
    assert "input input: float NCHW, RGB, less 0, 0, 0, by 255, 255, 255\n" in done.out
    assert "output scores: one logit; a pixel is 'polyp' above 0.4\n" in done.out
    assert "sides of images: any\n" in done.out
    assert read_card(out).classes == ("background", "polyp")
