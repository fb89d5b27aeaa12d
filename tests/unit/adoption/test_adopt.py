"""Adopting a file: each kind of input and output, the sizes that it takes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional

import fcn_deploy
from fcn_deploy.adoption.adopt import AdoptReport, adopt
from fcn_deploy.adoption.text import render
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.confidence import FORMULA, confidence_of
from fcn_deploy.graph.load import read_card
from fcn_deploy.onnx_export.proof import random_image
from tests.support.foreign_nets import MEAN, STD, Net, foreign_net, unet

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


def test_a_graph_that_does_not_show_its_normalisation_is_refused(shell, tmp_path):
    done = shell("adopt", foreign_net(tmp_path / "net.onnx"))
    assert done.code == 1
    assert "net.onnx does not show how its images are normalised; give --mean and --std" in done.err
    assert list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]


def test_the_command_prints_how_the_file_was_read_and_the_proof(shell, tmp_path):
    net, out = foreign_net(tmp_path / "net.onnx", classes=1), tmp_path / "out.onnx"
    done = shell("adopt", net, "--scale", "255", "--classes", "polyp", "--threshold", "0.4", "-o", out)
    assert done.code == 0, done.err
    assert "input input: float NCHW, RGB, less 0, 0, 0, by 255, 255, 255\n" in done.out
    assert "output scores: one logit; a pixel is 'polyp' above 0.4\n" in done.out
    assert "sides of images: any\n" in done.out
    assert read_card(out).classes == ("background", "polyp")


@pytest.mark.parametrize("opset", [9, 11, 13, 18, 21])
def test_opsets_from_9_on_are_lifted_or_kept(opset, tmp_path):
    report = _adopted(foreign_net(tmp_path / "net.onnx", opset=opset), **NORMALISED)
    assert {entry.version for entry in onnx.load(report.path).opset_import if entry.domain == ""} == {
        17 if opset < 13 else opset
    }


def test_sides_that_an_exporter_stored_in_a_resize_are_the_only_ones(tmp_path):
    net = Net()
    size = net.constant(np.array([1, 4, 48, 64], np.int64))
    net.add("Resize", net.conv("input", 3, 4, stride=2), "", "", size, to="scores", mode="linear")
    image = ("input", "float32", ["N", 3, "H", "W"])
    report = _adopted(net.save(tmp_path / "net.onnx", image, [("scores", 1, ["N", 4, "h", "w"])], 17), **NORMALISED)
    assert (report.divisor, report.size) == (None, (1, 48, 64))
    assert [dim.dim_value for dim in onnx.load(report.path).graph.input[0].type.tensor_type.shape.dim] == [1, 48, 64, 3]


@pytest.mark.parametrize("options", [
    {"stride": 4}, {"output": "sigmoid", "classes": 1}, {"classes": 1}, {"output": "nhwc"}, {"image": "float16"},
    {"opset": 18},
], ids=str)  # fmt: skip
def test_logits_labels_and_confidence_of_one_file_agree(options, tmp_path):
    net, asked = foreign_net(tmp_path / "net.onnx", **options), ["logits", "labels", "confidence"]
    report = _adopted(net, **NORMALISED, outputs=asked)
    labels, confidence, logits = _outputs(report.path, random_image((1, 35, 50), 0))
    assert np.abs(confidence.astype(int) - confidence_of(logits)).max() <= 1
    assert report.card.notes["confidence"] == FORMULA
    assert logits.dtype == np.float32
    assert logits.shape == (1, report.card.num_classes, 35, 50)
    assert np.array_equal(logits.argmax(1), labels)


def test_the_threshold_is_a_probability_whatever_the_file_gives(tmp_path):
    """The same network with and without its Sigmoid, cut at 0.3."""
    labels = []
    for output in ("sigmoid", "logits"):
        net = foreign_net(tmp_path / f"{output}.onnx", output=output, classes=1)
        report = _adopted(net, **NORMALISED, threshold=0.3)
        labels.append(_outputs(report.path, random_image((1, 64, 96), 1))[0])
    assert np.array_equal(*labels)
    x = foreign_net(tmp_path / "x.onnx", output="sigmoid", classes=1)
    image = random_image((1, 64, 96), 1)
    normalised = ((image - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).astype(np.float32)
    assert np.array_equal(labels[0], _outputs(x, normalised.transpose(0, 3, 1, 2))[0][:, 0] > 0.3)


def test_bgr_and_scale_are_those_of_the_card(tmp_path):
    net = foreign_net(tmp_path / "net.onnx")
    mean, std = (0.4, 0.45, 0.5), (0.2, 0.25, 0.3)
    report = _adopted(net, mean=mean, std=std, scale=255.0, channel_order="BGR")
    image = random_image((1, 33, 47), 1)
    x = (image[..., ::-1].astype(np.float32) / 255 - np.float32(mean)) / np.float32(std)
    (scores,) = _outputs(net, x.transpose(0, 3, 1, 2).astype(np.float32))
    assert (_outputs(report.path, image)[0] != scores.argmax(1)).mean() < 1e-3  # divided first or last: rounding
    assert report.card.channel_order == "BGR"


@pytest.mark.parametrize(("operator", "number", "mean", "std"), [
    ("Sub", 123.7, 0.0, 1.0),
    ("Sub", 0.485, 0.0, 255.0),
    ("Div", 255.0, 0.0, 1.0),
    ("Mul", 1 / 255, 0.0, 1.0),
])  # fmt: skip
def test_the_first_node_shows_what_images_the_graph_takes(operator, number, mean, std, tmp_path):
    net = Net()
    net.conv(net.add(operator, "input", net.constant(np.float32(number))), 3, 4, to="scores")
    image = ("input", "float32", ["N", 3, "H", "W"])
    report = _adopted(net.save(tmp_path / "net.onnx", image, [("scores", 1, ["N", 4, "H", "W"])], 17))
    assert (report.card.mean, report.card.std) == ((mean,) * 3, (std,) * 3)


def test_above_255_classes_labels_are_int32(tmp_path):
    report = _adopted(foreign_net(tmp_path / "net.onnx", classes=300), **NORMALISED)
    (labels,) = _outputs(report.path, random_image((1, 64, 96), 1))
    assert labels.dtype == np.int32
    assert labels.max() > 255


def fixed_by_a_reshape(path: Path) -> Path:
    """A network with named sides that takes 40 x 56 alone, one image at a time."""
    net = Net()
    flat = net.add("Reshape", net.conv("input", 3, 4), net.constant(np.array([1, 4, 40, 56], np.int64)))
    net.add("Relu", flat, to="scores")
    image = ("input", "float32", ["N", 3, "H", "W"])
    return net.save(path, image, [("scores", 1, ["N", 4, "H", "W"])], 17)


def test_a_size_that_no_trial_finds_is_asked_for_and_then_the_only_one(tmp_path):
    net = fixed_by_a_reshape(tmp_path / "net.onnx")
    with pytest.raises(GraphError, match=r"cannot run it at 64x96, .*; give a size that it takes \(--size\)"):
        _adopted(net, **NORMALISED)
    report = _adopted(net, **NORMALISED, size=(40, 56))
    assert (report.divisor, report.image.fixed) == (None, (1, 40, 56))
    assert [tick.shape for tick in report.ticks] == [(1, 40, 56)]


def test_softmax_over_the_last_axis_is_left_out_too(tmp_path):
    """As Keras writes it."""
    net = Net()
    x = net.conv(net.add("Transpose", "image", perm=[0, 3, 1, 2]), 3, 4)
    net.add("Softmax", net.add("Transpose", x, perm=[0, 2, 3, 1]), to="softmax", axis=-1)
    image = ("image", "float32", ["unk__1", None, None, 3])
    report = _adopted(
        net.save(tmp_path / "net.onnx", image, [("softmax", 1, ["unk__1", None, None, 4])], 13), scale=127.5
    )
    assert (report.divisor, report.meaning.activation) == (1, "Softmax")
    assert "Softmax" not in {node.op_type for node in onnx.load(report.path).graph.node}


def test_a_quantised_file_is_adopted_as_it_is(tmp_path):
    """Q/DQ pairs of another tool, here made by `quantize`, without a card."""
    net = foreign_net(tmp_path / "net.onnx", image="uint8", layout="NHWC")
    calibration = "synthetic:2:0:48x64"
    fcn_deploy.quantize(net, tmp_path / "qdq.onnx", precision="int8", target="cpu", calibration=calibration)
    report = _adopted(tmp_path / "qdq.onnx")
    assert report.divisor == 1
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(report.path).graph.node}


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize(("opset", "operator"), [(9, "Upsample"), (10, "Resize")])
def test_resizes_of_old_opsets_keep_their_places_of_pixels(opset, operator, mode, tmp_path):
    """onnx's converter alone gives scores that differ by a third of the largest."""
    net = Net()
    x, scales = net.conv("input", 3, 4, stride=2), net.constant(np.array([1, 1, 2, 2], np.float32))
    net.add(operator, x, scales, to="scores", mode=mode)
    image = ("input", "float32", ["N", 3, "H", "W"])
    scores = [("scores", 1, ["N", 4, "h", "w"])]
    assert _adopted(net.save(tmp_path / "net.onnx", image, scores, opset), **NORMALISED).divisor == 2


def test_a_mask_of_true_and_false_has_two_classes(tmp_path):
    net = Net()
    scores = net.conv("input", 3, 1)
    net.add("Greater", scores, net.constant(np.float32(0.1)), to="mask")
    image = ("input", "float32", ["N", 3, "H", "W"])
    path = net.save(tmp_path / "net.onnx", image, [("mask", onnx.TensorProto.BOOL, ["N", 1, "H", "W"])], 17)
    report = _adopted(path, **NORMALISED, classes=["polyp"])
    assert report.card.classes == ("background", "polyp")
    assert np.unique(_outputs(report.path, random_image((1, 64, 96), 1))[0]).tolist() == [0, 1]


def test_a_network_for_which_small_images_are_too_small_is_tried_on_larger_ones(tmp_path):
    net = Net()
    padded = net.add("Pad", "input", net.constant(np.array([0, 0, 60, 60, 0, 0, 60, 60], np.int64)), mode="reflect")
    crop = [net.constant(np.array([number, number], np.int64)) for number in (60, -60)]
    cut = net.add("Slice", net.conv(padded, 3, 4), *crop, net.constant(np.array([2, 3], np.int64)))
    net.add("Relu", cut, to="scores")
    image = ("input", "float32", ["N", 3, "H", "W"])
    report = _adopted(net.save(tmp_path / "net.onnx", image, [("scores", 1, ["N", 4, "H", "W"])], 17), **NORMALISED)
    assert report.divisor == 1
    assert [tick.shape for tick in report.ticks][:2] == [(1, 129, 163), (1, 191, 257)]


def test_classes_of_labels_are_counted_at_a_size_that_the_network_takes(tmp_path):
    report = _adopted(unet(tmp_path / "unet.onnx", levels=5, width=2, labels=True), **NORMALISED)
    assert (report.divisor, report.card.num_classes) == (32, 5)


def _interpolated(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """PyTorch's own resize of float32[N, C, H, W], which the adopted file's nodes and NumPy's proof have to equal."""
    found = functional.interpolate(torch.from_numpy(values), size, mode="bilinear", align_corners=False)
    return found.numpy()


@pytest.mark.parametrize(("options", "size", "image", "network"), [
    ({}, "0.5", (33, 47), (17, 24)),
    ({}, "40x70", (33, 47), (40, 70)),
    ({"layout": "NHWC", "output": "nhwc"}, "longest:64", (101, 57), (64, 36)),
    ({"stride": 4}, "64x96", (37, 51), (64, 96)),
    ({"fixed": (48, 64)}, "48x64", (37, 51), (48, 64)),
], ids=str)  # fmt: skip
def test_at_a_network_size_the_scores_are_those_of_the_given_file_between_pytorchs_resizes(
    options, size, image, network, tmp_path
):
    report = _adopted(
        foreign_net(tmp_path / "net.onnx", **options), **NORMALISED, network_size=size, outputs=["logits"]
    )
    assert (report.card.network_size, report.card.image_divisor) == (size, 1)
    assert all(tick.passed for tick in report.ticks)
    pixels = random_image((1, *image), 3)
    small = _interpolated(pixels.astype(np.float32).transpose(0, 3, 1, 2), network).transpose(0, 2, 3, 1)
    x = ((small - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).astype(np.float32)
    nhwc = options.get("layout") == "NHWC"
    (scores,) = _outputs(tmp_path / "net.onnx", x if nhwc else np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    expected = _interpolated(np.ascontiguousarray(scores.transpose(0, 3, 1, 2)) if nhwc else scores, image)
    (logits,) = _outputs(report.path, pixels)
    assert logits.shape == expected.shape
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_unet_of_multiples_takes_images_of_any_size_at_a_network_size(tmp_path):
    report = _adopted(unet(tmp_path / "unet.onnx"), **NORMALISED, network_size="0.5")
    (labels,) = _outputs(report.path, random_image((1, 35, 51), 0))
    assert labels.shape == (1, 35, 51)
    assert render(report).splitlines()[-3] == (
        "sides of images: any; the network computes at 0.5, sides rounded to multiples of 8"
    )
    with fcn_deploy.load(report.path) as model:
        assert model(np.zeros((35, 51, 3), np.uint8)).shape == (35, 51)


@pytest.mark.parametrize("output", ["labels", "labels1", "sigmoid", "softmax"])
def test_labels_and_a_threshold_go_back_to_the_images_size_too(output, tmp_path):
    one = {"classes": 1} if output == "sigmoid" else {}
    net = foreign_net(tmp_path / "net.onnx", output=output, **one)
    report = _adopted(net, **NORMALISED, network_size="0.5")
    (labels,) = _outputs(report.path, random_image((2, 35, 50), 0))
    assert labels.shape == (2, 35, 50)
