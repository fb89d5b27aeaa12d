"""What is read of a file without its weights."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from fcn_deploy.graph.precheck.skeleton import LEAST, skeleton
from fcn_deploy.graph.precheck.wire import WireError
from fcn_deploy.graph.sizes import ImageSize, tensor_sizes
from tests.support.small_fcn import write_foreign


def _widened(path):
    """Give the file weights beyond what is kept, in an initializer and in a Constant node, as raw and as typed data."""
    model = onnx.load(path)
    weights = np.arange(LEAST, dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "raw"))
    model.graph.initializer.append(onnx.helper.make_tensor("typed", onnx.TensorProto.FLOAT, [LEAST], weights))
    model.graph.node.insert(
        0, onnx.helper.make_node("Constant", [], ["stored"], value=numpy_helper.from_array(weights, "v"))
    )
    onnx.save(model, path)
    return path


def test_shapes_are_the_same_and_weights_are_gone(tmp_path):
    path = _widened(write_foreign(tmp_path / "foreign.onnx"))
    small = onnx.ModelProto.FromString(skeleton(path))
    size = ImageSize(2, 34, 46)
    assert tensor_sizes(ir.from_proto(small), size) == tensor_sizes(ir.load(path), size)
    assert len(skeleton(path)) < path.stat().st_size - 3 * 4 * LEAST
    assert [tensor.name for tensor in small.graph.initializer] == ["raw", "typed"]
    assert skeleton(path.read_bytes()) == skeleton(path)


def test_what_is_no_message_is_an_error(tmp_path):
    with pytest.raises(WireError):
        skeleton(b"\x3a\x05\x0a")
