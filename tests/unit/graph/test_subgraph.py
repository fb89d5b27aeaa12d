"""Parts of a graph compute what the whole does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from onnx_ir.passes.common import ShapeInferencePass

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.graph.subgraph import Subgraph, copy_model, extract_subgraph, live_tensors_before
from fcn_deploy.quantization.rewrites.half import to_half
from tests.support.small_fcn import images, write_fcn

OUTPUTS = ["labels", "logits"]


def test_a_tensor_that_a_skip_reads_later_is_live_across_the_layers_between(tmp_path: Path) -> None:
    model = load_graph(write_fcn(tmp_path / "m.onnx"))
    assert live_tensors_before(model, "conv1") == ["contract/divide_std"]
    assert live_tensors_before(model, "conv3") == ["pool", "relu2"]  # pool is read by score_pool
    assert live_tensors_before(model, "contract/argmax") == ["logits"]  # an output too


def test_a_chain_of_parts_ends_with_the_tensors_of_the_whole(tmp_path: Path) -> None:
    path = write_fcn(tmp_path / "m.onnx")
    model = load_graph(path)
    cuts = [["image"], *(live_tensors_before(model, name) for name in ("conv1", "conv3", "score_fr")), OUTPUTS]
    (image,) = images(1)
    tensors = {"image": image}
    for before, after in pairwise(cuts):
        part = Subgraph(extract_subgraph(model, before, after), tmp_path)
        made = part.run(tensors)
        tensors = {name: made.get(name, tensors.get(name)) for name in after}
    expected = dict(zip(OUTPUTS, open_cpu_session(path).run(OUTPUTS, {"image": image}), strict=True))
    np.testing.assert_allclose(tensors["logits"], expected["logits"], atol=1e-5)  # other fusions, FP32 rounding
    assert np.array_equal(tensors["labels"], expected["labels"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx"]


def test_cutting_leaves_the_graph_whole_and_drops_inputs_that_are_not_read(tmp_path: Path) -> None:
    model = load_graph(write_fcn(tmp_path / "m.onnx"))
    count = len(model.graph)
    part = extract_subgraph(model, ["image", "relu2", "pool"], ["relu3", "pool"])
    assert [value.name for value in part.graph.inputs] == ["relu2"]
    assert [value.name for value in part.graph.outputs] == ["relu3"]
    assert [node.op_type for node in part.graph] == ["Conv", "Relu"]
    assert len(model.graph) == count


def test_rewriting_a_part_or_a_copy_to_fp16_leaves_the_types_of_the_graph(tmp_path: Path) -> None:
    model = load_graph(write_fcn(tmp_path / "m.onnx"))
    ShapeInferencePass()(model)
    for rewritten in (extract_subgraph(model, ["image"], OUTPUTS), copy_model(model)):
        to_half(rewritten, {})
        assert {str(node.outputs[0].dtype) for node in rewritten.graph if node.op_type == "Conv"} == {"FLOAT16"}
        assert {str(node.outputs[0].dtype) for node in model.graph if node.op_type == "Conv"} == {"FLOAT"}


def test_what_cannot_be_cut_is_refused_with_the_names(tmp_path: Path) -> None:
    model = load_graph(write_fcn(tmp_path / "m.onnx"))
    with pytest.raises(GraphError, match="cannot be cut between relu2 and logits"):
        extract_subgraph(model, ["relu2"], ["logits"])
    with pytest.raises(GraphError, match="no tensor nowhere"):
        extract_subgraph(model, ["nowhere"], ["logits"])
    with pytest.raises(GraphError, match="no node nowhere"):
        live_tensors_before(model, "nowhere")
