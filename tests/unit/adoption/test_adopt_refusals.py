"""What adopt refuses, each in one line that says what was found and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fcn_deploy.adoption.adopt import adopt
from fcn_deploy.errors import FcnDeployError, GraphError
from tests.support.foreign_nets import MEAN, STD, Net, foreign_net, unet

FLOAT = TensorProto.FLOAT
NORMALISED = {"mean": MEAN, "std": STD}
IMAGE = ("input", "float32", ["N", 3, "H", "W"])


def classifier(path: Path) -> Path:
    net = Net()
    pooled = net.add("Flatten", net.add("GlobalAveragePool", net.conv("input", 3, 8)))
    net.add("Gemm", pooled, net.constant(np.ones((8, 10), np.float32)), to="logits")
    return net.save(path, IMAGE, [("logits", FLOAT, ["N", 10])], 17)


def detector(path: Path) -> Path:
    net = Net()
    rows = net.add("Reshape", net.conv("input", 3, 6, stride=8), net.constant(np.array([0, 6, -1], np.int64)))
    net.add("Transpose", rows, to="boxes", perm=[0, 2, 1])
    return net.save(path, IMAGE, [("boxes", FLOAT, ["N", "n", 6])], 17)


def channels(number: int) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        net = Net()
        net.conv("input", number, 4, to="scores")
        scores = [("scores", FLOAT, ["N", 4, "H", "W"])]
        return net.save(path, ("input", "float32", ["N", number, "H", "W"]), scores, 17)

    return write


def without_rank(path: Path) -> Path:
    model = onnx.load(foreign_net(path))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model, path)
    return path


def two_images(path: Path) -> Path:
    net = Net()
    net.conv(net.add("Add", "input", "other"), 3, 4, to="scores")
    model = onnx.load(net.save(path, IMAGE, [("scores", FLOAT, ["N", 4, "H", "W"])], 17))
    model.graph.input.append(helper.make_tensor_value_info("other", FLOAT, ["N", 3, "H", "W"]))
    onnx.save(model, path)
    return path


def custom_operator(path: Path) -> Path:
    model = onnx.load(foreign_net(path))
    model.graph.node[1].domain, model.graph.node[1].op_type = "mmdeploy", "Warp"
    model.opset_import.append(helper.make_opsetid("mmdeploy", 1))
    onnx.save(model, path)
    return path


def external(place: str) -> Callable[[Path], Path]:
    """Weights in a data file, which the model then names as `place`."""

    def write(path: Path) -> Path:
        onnx.save(onnx.load(foreign_net(path)), path, save_as_external_data=True, location="w.data", size_threshold=0)
        shutil.copy(path.with_name("w.data"), path.parent.parent / "w.data")
        model = onnx.load(path, load_external_data=False)
        for entry in (entry for tensor in model.graph.initializer for entry in tensor.external_data):
            if entry.key == "location":
                entry.value = place
        path.write_bytes(model.SerializeToString())
        return path

    return write


def three_quarters(path: Path) -> Path:
    net = Net()
    scales = net.constant(np.array([1, 1, 0.75, 0.75], np.float32))
    net.add("Resize", net.conv("input", 3, 4), "", scales, to="scores", mode="nearest")
    return net.save(path, IMAGE, [("scores", FLOAT, ["N", 4, "h", "w"])], 17)


def labels_of_unknown_classes(path: Path) -> Path:
    net = Net()
    mask = net.add("Squeeze", net.add("Abs", net.conv("input", 3, 1)), net.constant(np.array([1], np.int64)))
    net.nodes.append(helper.make_node("Cast", [mask], ["mask"], to=TensorProto.INT32))
    return net.save(path, IMAGE, [("mask", TensorProto.INT32, ["N", "H", "W"])], 17)


def opset_8(path: Path) -> Path:
    return foreign_net(path, opset=8)


@pytest.mark.parametrize(("write", "message"), [
    (classifier, "it gives logits float32[1x10]: one answer for the whole image, as a classifier does"),
    (detector, "it gives boxes float32[1x96x6], which are no labels of pixels, as of a detector"),
    (channels(1), "its input has 1 channel; expected one batch of images with 3 channels"),
    (channels(4), "its input has 4 channels; expected one batch of images with 3 channels"),
    (without_rank, "the rank of its input input is unknown; export it with four dims"),
    (two_images, "has 2 inputs (input float32[N, 3, H, W] and other float32[N, 3, H, W]); expected one batch"),
    (custom_operator, "has operators that ONNX does not define (mmdeploy.Warp); export it without"),
    (external("../w.data"), "its external data is in '../w.data', outside the file's folder"),
    (external("none.data"), "none.data: no such file or directory; the data file must be next to it, whole"),
    (three_quarters, "it gives scores float32[1x4x48x72], no whole number of image pixels to each score"),
    (labels_of_unknown_classes, "gives labels and does not show of how many classes; name them (--classes)"),
    (opset_8, "is of opset 8, expected 9 or later; export it again with opset 17"),
], ids=lambda value: getattr(value, "__name__", None))  # fmt: skip
def test_a_file_that_cannot_be_adopted(write, message, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(GraphError) as caught:
        adopt(write(folder / "net.onnx"), tmp_path / "out.onnx", **NORMALISED)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.onnx").exists()


HALVES = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
TORCHVISION = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize(("options", "message"), [
    ({}, "does not show how its images are normalised; give --mean and --std, --scale 255 for images in 0..1"),
    (TORCHVISION, "give --scale 255 with it, or --mean 123.675,116.28,103.53 --std 58.395,57.12,57.375"),
    (HALVES, "--mean 127.5,127.5,127.5 --std 127.5,127.5,127.5"),
    ({"mean": MEAN}, "--std is missing; give --std 1,1,1 if the network has none"),
    ({"std": STD}, "--mean is missing; give --mean 0,0,0 if the network has none"),
    ({"mean": MEAN, "std": (0, 1, 1)}, "--std is 0,1,1; expected three numbers above 0"),
    ({**NORMALISED, "scale": 255.0}, "--mean 123.7,116.3,103.5 is of images in 0..255, and --scale 255 divides"),
    ({**NORMALISED, "no_normalisation": True}, "--no-normalisation says that its own nodes normalise; leave --mean"),
    ({**NORMALISED, "classes": ["a", "b"]}, "has 4 classes, and --classes names 2"),
    ({**NORMALISED, "classes": ["a", "a", "b", "c"]}, "class name 'a' appears at 0 and again at 1"),
    ({**NORMALISED, "scores": "score"}, "unknown output 'score'; did you mean scores?"),
    ({**NORMALISED, "threshold": 1.0}, "the threshold is 1; expected a probability between 0 and 1"),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else None)  # fmt: skip
def test_options_that_do_not_fit(options, message, tmp_path):
    with pytest.raises(FcnDeployError) as caught:
        adopt(foreign_net(tmp_path / "net.onnx"), tmp_path / "out.onnx", **options)
    assert message in str(caught.value)


def test_a_uint8_file_takes_no_normalisation_and_one_channel_no_three_classes(tmp_path):
    with pytest.raises(GraphError, match="it takes uint8 images; leave --mean, --std and --scale out"):
        adopt(foreign_net(tmp_path / "u.onnx", image="uint8", layout="NHWC"), tmp_path / "o.onnx", mean=MEAN, std=STD)
    with pytest.raises(GraphError, match="has one channel, which is background and one class, and --classes names 3"):
        adopt(foreign_net(tmp_path / "b.onnx", classes=1), tmp_path / "o.onnx", scale=255.0, classes=["a", "b", "c"])


def test_logits_are_not_made_of_labels(tmp_path):
    net = foreign_net(tmp_path / "net.onnx", output="labels")
    with pytest.raises(GraphError, match="gives labels alone; leave logits out of --outputs"):
        adopt(net, tmp_path / "out.onnx", **NORMALISED, outputs=["logits"])


def test_what_is_adopted_already_and_the_given_file_as_the_target_are_refused(tmp_path):
    net = foreign_net(tmp_path / "net.onnx")
    done = adopt(net, tmp_path / "out.onnx", **NORMALISED)
    with pytest.raises(GraphError, match="holds a model card already"):
        adopt(done.path, tmp_path / "again.onnx", **NORMALISED)
    with pytest.raises(GraphError, match="is the given file itself, which is the reference"):
        adopt(net, net, **NORMALISED)
    with pytest.raises(GraphError, match="demo is no ONNX file; adopt takes those of other tools"):
        adopt("demo")


@pytest.mark.parametrize(
    ("options", "size", "message"),
    [
        ({"fixed": (48, 64)}, "0.5", r"takes 48x64 alone, not a network size of 0\.5; give --network-size 48x64"),
        ({"image": "uint8"}, "0.5", "takes bytes, and a resized image has fractions"),
        ({}, "0", "'0' is not a network size"),
        ({}, "0x64", "'0x64' is not a height and a width above 0"),
    ],
)
def test_a_network_size_that_the_file_cannot_have_is_refused(tmp_path, options, size, message):
    given = {} if options.get("image") == "uint8" else NORMALISED
    with pytest.raises(FcnDeployError, match=message):
        adopt(foreign_net(tmp_path / "net.onnx", **options), tmp_path / "out.onnx", **given, network_size=size)
    assert not (tmp_path / "out.onnx").exists()


def test_a_network_size_of_other_sides_than_the_multiples_is_refused(tmp_path):
    with pytest.raises(GraphError, match="multiples of 8, not a network size of 60x96; give such sides"):
        adopt(unet(tmp_path / "unet.onnx"), tmp_path / "out.onnx", **NORMALISED, network_size="60x96")


@pytest.mark.parametrize("options", [{"stride": 4}, {"network_size": "0.5"}], ids=str)
def test_confidence_of_probabilities_that_are_resized_is_refused(tmp_path, options):
    net = foreign_net(tmp_path / "net.onnx", output="softmax", stride=options.pop("stride", 1))
    with pytest.raises(GraphError, match=r"gives probabilities \(Softmax\) that are resized, and confidence is"):
        adopt(net, tmp_path / "out.onnx", **NORMALISED, **options, outputs=["labels", "confidence"])
