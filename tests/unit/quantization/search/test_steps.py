"""One layer in INT8 behind a cut computes what the whole graph with that one layer in INT8 computes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.subgraph import Subgraph, extract_subgraph
from fcn_deploy.quantization.calibration.histogram import choose_range
from fcn_deploy.quantization.calibration.measure import calibrate
from fcn_deploy.quantization.rewrites.int8 import load_rewritable
from fcn_deploy.quantization.rewrites.qdq import quantised_tensors
from fcn_deploy.quantization.search.steps import candidates, quantise_one_layer, tensors_before
from fcn_deploy.vocabulary import TARGETS
from tests.support.small_fcn import images, write_fcn

OUTPUTS = ["logits"]


@pytest.fixture
def model(tmp_path):
    return load_graph(write_fcn(tmp_path / "fcn.onnx"))


def _ranges(model, target, path):
    names = quantised_tensors(model, target, {})
    seen = calibrate(path, [{"image": image} for image in images(3)], histograms=names)
    return {name: choose_range(seen.histograms[name], "minmax", symmetric=target == "tensorrt") for name in names}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3", "score_fr", "score_pool"])
def test_from_the_cut_on_it_is_the_whole_graph_with_that_layer_alone(model, tmp_path, target, layer):
    ranges = _ranges(model, target, tmp_path / "fcn.onnx")
    (image,) = images(1, seed=7)
    cut = tensors_before(model, layer, target)
    kept_aside = Subgraph(extract_subgraph(model, ["image"], cut), tmp_path).run({"image": image})
    behind = Subgraph(quantise_one_layer(model, cut, OUTPUTS, layer, target, ranges), tmp_path).run(kept_aside)
    whole = Subgraph(quantise_one_layer(model, ["image"], OUTPUTS, layer, target, ranges), tmp_path).run(
        {"image": image}
    )
    # FP32 rounding of other fusions, which may tip an 8-bit code of the input here and there.
    np.testing.assert_allclose(behind["logits"], whole["logits"], atol=2e-3)
    plain = Subgraph(extract_subgraph(model, ["image"], OUTPUTS), tmp_path).run({"image": image})
    assert not np.allclose(behind["logits"], plain["logits"], atol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_one_layer_alone_is_quantised_and_the_graph_stays_as_it_is(model, tmp_path, target):
    ranges = _ranges(model, target, tmp_path / "fcn.onnx")
    before = [node.name for node in model.graph]
    part = quantise_one_layer(model, ["image"], OUTPUTS, "conv3", target, ranges)
    weights = [n.name for n in part.graph if n.op_type == "DequantizeLinear" and "weight" in n.name]
    assert weights == ["conv3.weight/dq"]
    assert [node.name for node in model.graph] == before
    assert "conv3.weight" in model.graph.initializers


def test_the_cpu_target_is_cut_before_the_first_reader_of_the_layers_input(model):
    # pool is read by conv2 and, later in the graph, by score_pool.
    assert tensors_before(model, "score_pool", "tensorrt") == ["pool", "score_fr"]
    assert tensors_before(model, "score_pool", "cpu") == tensors_before(model, "conv2", "cpu") == ["pool"]


def test_layers_of_one_name_are_distinguished_before_a_search(tmp_path):
    path = write_fcn(tmp_path / "fcn.onnx")
    assert candidates(load_graph(path), {"conv1": "first layer"}) == ["conv2", "conv3", "score_fr", "score_pool"]
    model = onnx.load(path)
    for node in model.graph.node:
        if node.name in ("conv2", "conv3"):
            node.name = "same"
    onnx.save(model, path)
    names = candidates(load_rewritable(path), {})
    assert len(names) == len(set(names)) == 5
    assert "same" in names
