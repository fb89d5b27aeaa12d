"""What is decided before a training in INT8 arithmetic."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.errors import GraphError, RecordError
from fcn_deploy.quantization.plan import PlannedLayer, QuantizationPlan, plan_quantization
from fcn_deploy.quantization.recipe import QuantizeRecipe


def test_a_plan_survives_the_file(tmp_path):
    recipe = QuantizeRecipe("train.txt", target="cpu", keep=("fc6",))
    plan = QuantizationPlan(recipe, {"x": (0.0, 1.5)}, {"fc6": "by request"}, (PlannedLayer("a", 0.0, 1.5, True),))
    plan.save(tmp_path / "plan.json")
    assert QuantizationPlan.load(tmp_path / "plan.json") == plan
    with pytest.raises(RecordError, match="cannot be read"):
        QuantizationPlan.load(tmp_path / "none.json")


def residual_block(path):
    """a, Relu; then b, Relu, whose result the convolution c and the sum read."""
    shapes = {"a": (8, 3, 3, 3), "b": (8, 8, 3, 3), "c": (8, 8, 3, 3)}
    weights = [numpy_helper.from_array(np.ones(shape, np.float32), f"{name}.w") for name, shape in shapes.items()]

    def conv(name, source):
        return helper.make_node("Conv", [source, f"{name}.w"], [f"{name}.y"], name=name, pads=[1] * 4)

    nodes = [
        conv("a", "x"), helper.make_node("Relu", ["a.y"], ["a.r"], name="ra"),
        conv("b", "a.r"), helper.make_node("Relu", ["b.y"], ["b.r"], name="rb"),
        conv("c", "b.r"), helper.make_node("Add", ["c.y", "b.r"], ["y"], name="sum"),
    ]  # fmt: skip
    sides = ["n", None, "h", "w"]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in "xy"]
    graph = helper.make_graph(nodes, "block", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_for_cpus_a_quantised_tensor_that_is_added_to_another_is_refused(tmp_path):
    source = residual_block(tmp_path / "block.onnx")
    with pytest.raises(GraphError, match=r'b\.r is also read by sum \(Add\).*use target = "tensorrt"'):
        plan_quantization(source, QuantizeRecipe("synthetic:2:0:33x47", target="cpu"))
