"""Files that are refused before they are rewritten."""

from __future__ import annotations

import onnx
import pytest
from onnx import numpy_helper

from fcn_deploy.errors import GraphError
from fcn_deploy.quantization.rewrites.int8 import load_rewritable
from tests.support.small_fcn import write_foreign


def test_what_nothing_makes_is_told_before_a_rewrite(tmp_path):
    path = write_foreign(tmp_path / "foreign.onnx")
    model = onnx.load(path)
    (bias,) = [node for node in model.graph.node if node.output[0] == "conv1.bias"]
    model.graph.node.remove(bias)
    onnx.save(model, path)
    with pytest.raises(GraphError, match=r"reads conv1\.bias, which nothing makes"):
        load_rewritable(path)


def test_external_data_that_is_cut_is_told_before_a_rewrite(tmp_path):
    path = write_foreign(tmp_path / "foreign.onnx")
    model = onnx.load(path)
    weights = [node for node in model.graph.node if node.op_type == "Constant"]
    arrays = {node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in weights}
    for node in weights:
        model.graph.node.remove(node)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    onnx.save(model, path, save_as_external_data=True, location="data.bin", size_threshold=0)
    data = tmp_path / "data.bin"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1])
    with pytest.raises(GraphError, match=f"must hold {len(whole)} bytes for .*, found {len(whole) - 1} bytes"):
        load_rewritable(path)
    data.unlink()
    with pytest.raises(GraphError, match=r"data\.bin must hold .* found no such file"):
        load_rewritable(path)
