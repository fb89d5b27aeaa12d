"""What a graph has stored, and the words for what differs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch

from fcn_deploy.card import ModelCard
from fcn_deploy.contract import Contract
from fcn_deploy.diagnosis.causes import coverage, normalisation_causes, weight_causes
from fcn_deploy.diagnosis.stored_values import (
    Normalisation,
    Parameters,
    normalisation,
    normalised_image,
    parameters,
    quantised_range,
)
from fcn_deploy.diagnosis.tensor_error import Tally
from fcn_deploy.diagnosis.tensors import ENTRY, TorchSource
from fcn_deploy.graph.load import load_graph
from fcn_deploy.quantization.rewrites.qdq import insert_qdq
from tests.conftest import tiny_model
from tests.support.onnx_files import write_graph
from tests.support.planted_faults import with_swapped_channels
from tests.support.small_fcn import CARD, images, small_weights, write_fcn

GENERATOR = np.random.default_rng(0)
WEIGHT, BIAS = GENERATOR.normal(size=(6, 4, 3, 3)), GENERATOR.normal(size=6)
BEFORE = Parameters(WEIGHT, BIAS)


def causes(weight: np.ndarray, bias: np.ndarray | None = BIAS) -> list[str]:
    return weight_causes(BEFORE, Parameters(weight, bias), 0.05)


def test_weights_within_the_bound_have_no_cause():
    assert causes(WEIGHT * 1.04) == []


def test_each_change_of_weights_has_its_own_words():
    assert causes(WEIGHT * -0.1) == ["its weights are -0.1 times those before"]
    assert causes(WEIGHT[:, ::-1]) == ["its weights are in the reverse order of the input channels"]
    two = WEIGHT.copy()
    two[[2, 5]] *= 0.1
    assert causes(two) == ["the weights of 2 of its 6 output channels are others (first: 2)"]
    assert causes(GENERATOR.normal(size=WEIGHT.shape))[0].startswith("its weights are others: they differ by 1")
    assert causes(WEIGHT[:, :2])[0].startswith("its weights have the shape (6, 2, 3, 3)")


def test_a_bias_that_is_changed_or_missing_is_told():
    assert causes(WEIGHT, BIAS + 1) == causes(WEIGHT, None) == ["its bias is another"]
    assert weight_causes(Parameters(WEIGHT, None), Parameters(WEIGHT, np.zeros(6)), 0.05) == []


def test_what_is_covered_is_judged_on_the_worse_side():
    assert coverage((-1.0, 2.0), (-4.0, 4.0)) == 0.25
    assert coverage((-128.0, 127.0), (0.0, 254.0)) == 0.5
    assert coverage((0.0, 1.0), (-1.0, 1.0)) == 0
    assert coverage((-1.0, 1.0), (0.0, 0.0)) == math.inf


# 254 steps of 6 / 127 and one more below; 255 steps of 8 / 255 with 0 at the 64th, as 2 / (8 / 255) = 63.75.
@pytest.mark.parametrize(("target", "expected"), [("tensorrt", (-128 / 127 * 6, 6)), ("cpu", (-512 / 255, 1528 / 255))])
def test_weights_and_ranges_are_read_back_from_8_bits(tmp_path: Path, target, expected):
    model = load_graph(write_fcn(tmp_path / "fcn.onnx"))
    insert_qdq(model, target, ["conv1", "score_fr", "score_pool"], {"pool": (-2.0, 6.0), "relu2": (-2.0, 6.0)})
    nodes = {node.name: node for node in model.graph}
    assert quantised_range(nodes["pool/q"]) == pytest.approx(expected, rel=1e-6)
    weights = small_weights()
    found = parameters(nodes["conv2"])
    largest = np.abs(weights["conv2.weight"]).max(axis=(1, 2, 3), keepdims=True)
    assert (np.abs(found.weight - weights["conv2.weight"]) <= largest / 127 / 2 * 1.001).all()  # half a step
    # The bias is float, or whole steps of input scale times weight scale.
    step = 8 / 255 * largest.ravel() / 127
    assert (np.abs(found.bias - weights["conv2.bias"]) <= step).all()
    assert parameters(nodes["relu1"]) is None


def test_a_normalisation_is_read_off_the_graph_whatever_its_order_of_operations(tmp_path):
    found = normalisation(load_graph(write_fcn(tmp_path / "fcn.onnx")))
    assert (found.order, found.mean.tolist(), found.std.tolist()) == (
        (0, 1, 2),
        list(CARD.mean),
        pytest.approx(CARD.std),
    )
    swapped = load_graph(with_swapped_channels(tmp_path / "fcn.onnx", tmp_path / "bgr.onnx"))
    assert normalisation(swapped).order == (2, 1, 0)
    assert normalised_image(swapped) == "contract/divide_std"
    assert normalisation(load_graph(write_graph(tmp_path / "float.onnx", image="float"))) is None


def test_a_scaled_image_has_the_mean_and_deviation_of_the_whole_formula(tmp_path):
    """x * 0.5 + 3 is (x + 6) / 2."""
    model = load_graph(write_fcn(tmp_path / "fcn.onnx"))
    for node in model.graph:
        if node.name == "contract/subtract_mean":
            node.op_type = "Mul"
        elif node.name == "contract/divide_std":
            node.op_type = "Add"
    stored = model.graph.initializers
    stored["contract/mean"].const_value = ir.tensor(np.float32([0.5]), name="contract/mean")
    stored["contract/std"].const_value = ir.tensor(np.float32([3]), name="contract/std")
    found = normalisation(model)
    assert (found.mean.tolist(), found.std.tolist()) == ([-6] * 3, [2] * 3)


def test_normalisations_that_differ_are_told_part_by_part():
    before = Normalisation.of_card(CARD)
    after = Normalisation.of_card(
        ModelCard("fcn8s", CARD.classes, mean=(120.0, 110.0, 101.0), std=CARD.std, channel_order="BGR")
    )
    assert normalisation_causes(before, before) == []
    assert normalisation_causes(before, None) == []
    assert normalisation_causes(before, after) == [
        "its channels are BGR, before they were RGB",
        "it subtracts the mean 120, 110, 101, before it was 120, 110, 100",
    ]


def test_a_tally_is_the_same_image_by_image_and_at_once():
    x, y = GENERATOR.normal(size=(2, 5, 7)).astype(np.float32), GENERATOR.normal(size=(2, 5, 7)).astype(np.float32)
    one, whole = Tally(), Tally()
    whole.add(x, y)
    for a, b in zip(x, y, strict=True):
        one.add(a, b)
    expected = np.sqrt(np.square(y - x).mean() / np.square(x).mean())
    assert one.relative == pytest.approx(whole.relative, rel=1e-12)
    assert whole.relative == pytest.approx(expected, rel=1e-5)  # float32 against float64 sums
    assert (whole.low, whole.high) == (x.min(), x.max())


def test_a_tally_knows_a_multiple_other_shapes_labels_and_overflow():
    x = np.float32([1, -2, 3])
    tally = Tally()
    tally.add(x, 4 * x)
    assert (tally.relative, tally.factor, tally.residual) == (3, 4, pytest.approx(0, abs=1e-7))
    for other, found in (
        (x[:2], math.inf),
        (np.float16([1, -2, np.inf]), math.inf),
        (np.float32([1, -2, np.nan]), math.inf),
    ):
        tally = Tally()
        tally.add(x, other)
        assert tally.relative == found
    labels = Tally()
    labels.add(np.uint8([[1, 2], [3, 4]]), np.uint8([[1, 2], [3, 0]]))
    assert labels.relative == 0.25


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_pytorch_hands_out_each_modules_own_result_and_the_contracts_steps(tmp_path, order):
    network, card = tiny_model()
    card = ModelCard(card.model, card.classes, card.options, channel_order=order, mean=(1.0, 2.0, 3.0))
    network.eval()
    source = TorchSource(network, card)
    names = [
        "contract/to_nchw",
        "contract/subtract_mean",
        ENTRY,
        "backbone.stage1.conv1",
        "backbone.stage1.relu1",
        "logits",
    ]
    assert set(names) <= set(source.names)
    assert ("contract/to_bgr" in source.names) == (order == "BGR")
    assert "backbone.stage1" not in source.names  # a larger module: its export may call something else so
    image = images(1)[0]
    found = source.open(names, tmp_path)(image)
    contract = Contract(network, card)
    with torch.inference_mode():
        x = contract.normalise(torch.from_numpy(image))
        conv = network.backbone.stage1.conv1(x)
        logits = contract.logits(torch.from_numpy(image))
    assert np.array_equal(found[ENTRY], x.numpy())
    assert np.array_equal(found["backbone.stage1.conv1"], conv.numpy())  # before the ReLU that works in place on it
    assert found["backbone.stage1.conv1"].min() < 0
    assert np.array_equal(found["backbone.stage1.relu1"], conv.clamp(min=0).numpy())
    assert np.array_equal(found["logits"], logits.numpy())
    first = image[..., ::-1][..., 0] if order == "BGR" else image[..., 0]
    assert np.array_equal(found["contract/subtract_mean"][:, 0], first.astype(np.float32) - 1)
    assert np.array_equal(found["contract/to_nchw"], image.transpose(0, 3, 1, 2))
