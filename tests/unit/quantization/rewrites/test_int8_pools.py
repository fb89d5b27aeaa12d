"""Pairs before max pooling change no value, and let both runtimes pool in 8 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from fcn_deploy.graph.float_layers import choose_float_layers
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.graph.weights import save_graph
from fcn_deploy.quantization.rewrites.int8 import quantise_before_pools
from fcn_deploy.quantization.rewrites.qdq import insert_qdq, quantised_tensors
from fcn_deploy.runners.openvino import open_core
from tests.support.small_fcn import images, write_fcn


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    model = load_graph(write_fcn(tmp_path / "fp32.onnx"))
    reasons = choose_float_layers(model, first=False)
    # Narrow enough that values are clipped: a pool of clipped values must be the clipped pool.
    ranges = dict.fromkeys(quantised_tensors(model, "cpu", reasons), (0.0, 1.0))
    insert_qdq(model, "cpu", reasons, {**ranges, "contract/divide_std": (-2.5, 2.5)})
    save_graph(model, tmp_path / "int8.onnx")
    return tmp_path / "int8.onnx"


def test_every_logit_stays_as_it_was(whole: Path, tmp_path: Path) -> None:
    model = load_graph(whole)
    assert quantise_before_pools(model) == ["pool"]
    save_graph(model, tmp_path / "pooled.onnx")
    onnx.checker.check_model(str(tmp_path / "pooled.onnx"), full_check=True)
    for image in images(2):
        before, after = (
            open_cpu_session(path).run(["logits"], {"image": image})[0] for path in (whole, tmp_path / "pooled.onnx")
        )
        assert np.array_equal(before, after)


def test_the_pair_before_has_the_scale_of_the_one_behind(whole: Path) -> None:
    model = load_graph(whole)
    quantise_before_pools(model)
    nodes = {node.name: node for node in model.graph}
    before, behind = nodes["relu1/q"], nodes["pool/q"]
    assert before.inputs[0].name == "relu1"
    assert before.inputs[1:] == behind.inputs[1:]
    assert nodes["pool"].inputs[0] is nodes["relu1/dq"].outputs[0]


def test_a_pool_is_rewritten_once_and_one_that_ends_in_float_never(whole: Path, tmp_path: Path) -> None:
    model = load_graph(whole)
    assert quantise_before_pools(model)
    assert quantise_before_pools(model) == []
    assert quantise_before_pools(load_graph(tmp_path / "fp32.onnx")) == []


def test_openvino_pools_in_8_bits_then(whole: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    model = load_graph(whole)
    quantise_before_pools(model)
    save_graph(model, tmp_path / "pooled.onnx")
    nodes = open_core().compile_model(str(tmp_path / "pooled.onnx"), "CPU").get_runtime_model().get_ops()
    facts = [node.get_rt_info() for node in nodes]
    (pool,) = [one for one in facts if one["layerType"].astype(str) == "Pooling"]
    assert pool["runtimePrecision"].astype(str) == "u8"
