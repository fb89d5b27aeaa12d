"""ONNX files, read with the card that they carry."""

from __future__ import annotations

import onnx
import pytest

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.load import read_card


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", bytes(1000), b"\x08\x07random"])
def test_a_file_that_is_not_onnx_is_one_clear_error(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(GraphError, match=r"bad\.onnx"):
        read_card(path)


def test_an_onnx_of_another_tool_has_no_card(tmp_path):
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y])), tmp_path / "other.onnx")
    with pytest.raises(GraphError, match="no model card"):
        read_card(tmp_path / "other.onnx")
