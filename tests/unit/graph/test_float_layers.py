"""Layers that stay in float."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from fcn_deploy.errors import GraphError
from fcn_deploy.graph import float_layers
from fcn_deploy.graph.float_layers import check_rewritable, choose_float_layers, first_layers, score_layers
from fcn_deploy.graph.load import load_graph
from tests.support.small_fcn import write_fcn


@pytest.fixture
def fcn(tmp_path: Path) -> Path:
    return write_fcn(tmp_path / "fcn.onnx")


def test_first_and_score_layers_are_found_in_the_graph(fcn):
    model = load_graph(fcn)
    assert first_layers(model) == ["conv1"]
    assert score_layers(model) == ["score_fr", "score_pool"]
    assert choose_float_layers(model, ["conv3"]) == {
        "conv1": "first layer", "score_fr": "score layer", "score_pool": "score layer", "conv3": "by request",
    }  # fmt: skip


def test_only_a_narrow_first_layer_stays_in_float_where_8_bits_would_be_slower(fcn, monkeypatch):
    model = load_graph(fcn)
    channels = next(node for node in model.graph if node.name == "conv1").inputs[1].const_value.shape[0]
    for widest, kept in ((channels, {"conv1": "first layer of few channels, faster in float"}), (channels - 1, {})):
        monkeypatch.setattr(float_layers, "NARROW", widest)
        assert choose_float_layers(model, first="narrow", score=False) == kept


def test_a_graph_without_convolutions_is_refused(tmp_path):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "H", "W"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="r")], "g", ports[:1], ports[1:])
    with pytest.raises(GraphError, match="no convolution"):
        check_rewritable(ir.from_proto(helper.make_model(graph)), "x.onnx")
