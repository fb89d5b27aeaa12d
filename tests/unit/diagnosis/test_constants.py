"""Weights, ranges and the normalisation, read back from a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from fcn_deploy.diagnosis.constants import normalisation, normalised_image, parameters, quantised_range
from fcn_deploy.graph.load import load_graph
from fcn_deploy.quantization.rewrites.qdq import insert_qdq
from tests.support.onnx_files import write_graph
from tests.support.planted_faults import with_swapped_channels
from tests.support.small_fcn import CARD, small_weights, write_fcn


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
