"""The error that a layer adds by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_deploy.diagnosis.compared_layers import find_layers
from fcn_deploy.graph.load import load_graph
from tests.support.int8_fcn import int8
from tests.support.small_fcn import write_fcn


@pytest.fixture(scope="module")
def fcn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fcn(tmp_path_factory.mktemp("healthy") / "fcn.onnx")


def test_pairs_and_casts_belong_to_the_layer_that_reads_them(fcn):
    model = load_graph(int8(fcn, half=True))
    layers = {layer.name: layer for layer in find_layers(model, ["pool", "relu1", "conv2", "fuse", "logits"])}
    assert layers["conv2"].reads == ("pool",)
    assert layers["conv2"].precision == "int8"
    kinds = [node.op_type for node in layers["conv2"].nodes]
    assert kinds.count("DequantizeLinear") == 2  # of the input and of the weights
    assert layers["pool"].precision == "fp16"
