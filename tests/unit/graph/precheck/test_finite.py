"""A weight that is NaN or infinite is refused wherever a file keeps it, and other constants may be infinite."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.precheck.finite import PIECE_BYTES
from fcn_deploy.graph.precheck.scan import scan

FLOATS = {"FLOAT": "<f4", "FLOAT16": "<f2", "DOUBLE": "<f8"}
MANY = PIECE_BYTES + 3  # elements, so that the last one is in a later piece


def _write(path: Path, tensor: onnx.TensorProto, *, op_type: str = "MatMul", constant: bool = False) -> Path:
    tensor.name = "w"
    nodes = [helper.make_node(op_type, ["x", "w"], ["y"])]
    if constant:
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    inputs, outputs = (
        [helper.make_tensor_value_info(name, tensor.data_type, ["N", dim])]
        for name, dim in (("x", tensor.dims[0]), ("y", 1))
    )
    graph = helper.make_graph(nodes, "g", inputs, outputs, [] if constant else [tensor])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _refused(path: Path) -> None:
    with pytest.raises(GraphError, match=r"m\.onnx: w holds NaN or infinite numbers; export from a sound checkpoint"):
        scan(path)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", FLOATS)
def test_the_last_of_many_weights_is_seen(tmp_path, name, number):
    weights = np.full((MANY, 1), np.finfo(FLOATS[name]).max, FLOATS[name])
    assert scan(_write(tmp_path / "whole.onnx", numpy_helper.from_array(weights))) == {}
    weights[-1] = number
    _refused(_write(tmp_path / "m.onnx", numpy_helper.from_array(weights)))


@pytest.mark.parametrize("name", [*FLOATS, "BFLOAT16"])
@pytest.mark.parametrize("number", [np.nan, 1.0])
def test_numbers_of_typed_fields_are_seen(tmp_path, name, number):
    tensor = helper.make_tensor("w", getattr(TensorProto, name), [3, 1], [1.0, number, 2.0])
    path = _write(tmp_path / "m.onnx", tensor)
    if np.isnan(number):
        _refused(path)
    else:
        assert scan(path) == {}


def test_the_weight_in_a_constant_node_is_seen(tmp_path):
    _refused(_write(tmp_path / "m.onnx", numpy_helper.from_array(np.full((3, 1), np.inf)), constant=True))


def test_external_data_is_seen_and_read_again_after_it_changed(tmp_path):
    path = _write(tmp_path / "m.onnx", numpy_helper.from_array(np.ones((300, 1), np.float32)))
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=100)
    for _ in range(2):
        assert scan(path) == {"w.bin": (tmp_path / "w.bin").resolve()}
    data = tmp_path / "w.bin"
    data.write_bytes(data.read_bytes()[:-4] + np.float32(np.nan).tobytes())
    os.utime(data, ns=(1, 1))
    _refused(path)


def test_the_infinite_mask_of_an_attention_is_taken(tmp_path):
    assert scan(_write(tmp_path / "m.onnx", numpy_helper.from_array(np.full((3, 1), -np.inf)), op_type="Add")) == {}


def test_what_only_shows_a_file_takes_it(tmp_path):
    path = _write(tmp_path / "m.onnx", numpy_helper.from_array(np.full((3, 1), np.nan, np.float32)))
    assert scan(path, show=True) == {}
    assert load_graph(path, show=True).graph.initializers["w"].const_value is not None
    with pytest.raises(GraphError, match="w holds NaN"):
        load_graph(path)
