"""Files that are refused before they are rewritten."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from fcn_deploy.audit.audit import audit
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.float_layers import COMPUTED_WEIGHT, choose_float_layers
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.quantization.rewrites.int8 import load_rewritable
from tests.support.foreign_nets import foreign_net
from tests.support.small_fcn import write_foreign


def test_what_nothing_makes_is_reported_before_a_rewrite(tmp_path):
    path = write_foreign(tmp_path / "foreign.onnx")
    model = onnx.load(path)
    (bias,) = [node for node in model.graph.node if node.output[0] == "conv1.bias"]
    model.graph.node.remove(bias)
    onnx.save(model, path)
    with pytest.raises(GraphError, match=r"reads conv1\.bias, which nothing makes"):
        load_rewritable(path)


def test_external_data_that_is_cut_is_reported_before_a_rewrite(tmp_path):
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
    with pytest.raises(GraphError, match=r"data\.bin: no such file or directory; the data file must be next to it"):
        load_rewritable(path)


def test_weights_behind_identity_and_cast_are_quantised_as_stored_ones(tmp_path):
    """The second convolution reads the first one's bias through an Identity, and FP16 weights through a Cast."""
    path = foreign_net(tmp_path / "net.onnx")
    model = onnx.load(path)
    first, second, score = [node for node in model.graph.node if node.op_type == "Conv"]
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    half = numpy_helper.to_array(stored[second.input[1]]).astype(np.float16)
    stored[second.input[1]].CopyFrom(numpy_helper.from_array(half, second.input[1]))
    copies = [
        helper.make_node("Identity", [first.input[2]], ["same_bias"]),
        helper.make_node("Cast", [second.input[1]], ["wide"], to=onnx.TensorProto.FLOAT),
    ]
    second.input[2], second.input[1] = "same_bias", "wide"
    for copy in copies:
        model.graph.node.insert(0, copy)
    onnx.save(model, path)
    loaded = load_rewritable(path)
    assert COMPUTED_WEIGHT not in choose_float_layers(loaded).values()
    assert "Cast" not in {node.op_type for node in loaded.graph}
    rows = {row.name: row.precision for row in audit(path).rows}
    assert rows[second.name] == "FP32"
    report = quantize(path, tmp_path / "half.onnx", precision="fp16")
    assert report.half is not None
    assert {first.name, second.name, score.name} <= set(report.half.converted)
