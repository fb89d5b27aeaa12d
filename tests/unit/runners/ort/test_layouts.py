from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.runners.ort.layouts import FUSED, HEURISTIC, NHWC, Layouts, layout_text, layouts_for, named
from fcn_deploy.runners.ort.options import read_facts
from tests.support.onnx_files import write_graph

QUICK, QUICK_FUSED = {**NHWC, **HEURISTIC}, {**FUSED, **HEURISTIC}


def test_any_shape_gets_the_quick_search_and_the_exhaustive_one_where_that_fails(tmp_path):
    assert layouts_for(read_facts(write_graph(tmp_path / "m.onnx")), {}).general == (QUICK, NHWC, {})


def test_what_opens_quickly_is_measured_first(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    assert layouts_for(read_facts(path), {}).fixed == (QUICK_FUSED, QUICK, FUSED, NHWC)
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float16), "half"))
    onnx.save(model, path)
    assert layouts_for(read_facts(path), {}).fixed == (QUICK_FUSED, FUSED, QUICK, {})


def test_int8_stays_as_the_provider_has_it(tmp_path):
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, "H", "W"])
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    stored = [numpy_helper.from_array(np.array(1, np.float32), "s"), numpy_helper.from_array(np.array(0, np.int8), "z")]
    graph = helper.make_graph(nodes, "g", [image], [output], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    assert layouts_for(read_facts(tmp_path / "m.onnx"), {}) == Layouts()


def test_options_given_by_hand_are_in_each_layout_and_leave_no_repeats(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    asked = {"prefer_nhwc": "0", "cudnn_conv_algo_search": "DEFAULT"}
    assert layouts_for(read_facts(path), asked) == Layouts((asked,), ({**asked, "fuse_conv_bias": "1"}, asked))
    assert layouts_for(read_facts(path), {"fuse_conv_bias": "1"}) == Layouts(
        (QUICK_FUSED, FUSED, {"fuse_conv_bias": "1"}), (QUICK_FUSED, FUSED)
    )


def test_a_file_without_an_image_is_refused_elsewhere():
    assert layouts_for(None, {"a": "1"}) == Layouts(({"a": "1"},), ({"a": "1"},))


@pytest.mark.parametrize(
    ("layout", "note"), [({}, ()), (FUSED, ("provider options: prefer_nhwc=1, fuse_conv_bias=1",))]
)
def test_the_note_names_the_options(layout, note):
    assert layout_text(layout) == note
    assert named({}) == "the provider's own options"
