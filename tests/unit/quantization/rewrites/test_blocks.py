"""A convolution in blocks of output channels gives the whole convolution's 8-bit values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from fcn_deploy.graph.float_layers import choose_float_layers
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.graph.weights import save_graph
from fcn_deploy.quantization.rewrites.blocks import split_wide_convolutions
from fcn_deploy.quantization.rewrites.qdq import insert_qdq, quantised_tensors
from tests.support.small_fcn import images, write_fcn

WEIGHTS = 6 * 6 * 9  # bytes of conv3 in 8 bits; conv2 has 6 * 4 * 9; behind conv1 comes a pool before the 8 bits


def _quantised(tmp_path: Path, **kept: bool) -> Path:
    model = load_graph(write_fcn(tmp_path / "fp32.onnx"))
    reasons = choose_float_layers(model, first=False, **kept)
    ranges = dict.fromkeys(quantised_tensors(model, "cpu", reasons), (0.0, 3.0))
    insert_qdq(model, "cpu", reasons, {**ranges, "contract/divide_std": (-2.5, 2.5)})
    save_graph(model, tmp_path / "int8.onnx")
    return tmp_path / "int8.onnx"


@pytest.mark.parametrize("block_bytes", [WEIGHTS - 1, WEIGHTS // 3, 60])
def test_every_logit_stays_as_it_was(tmp_path: Path, block_bytes: int) -> None:
    whole = _quantised(tmp_path)
    model = load_graph(whole)
    names = split_wide_convolutions(model, block_bytes, alignment=1)
    assert names == [name for name, size in (("conv2", 216), ("conv3", 324)) if size > block_bytes]
    save_graph(model, tmp_path / "blocks.onnx")
    onnx.checker.check_model(str(tmp_path / "blocks.onnx"), full_check=True)
    for image in images(2):
        before, after = (
            open_cpu_session(path).run(["logits"], {"image": image})[0] for path in (whole, tmp_path / "blocks.onnx")
        )
        assert np.array_equal(before, after)


def test_the_blocks_hold_the_weights_once_and_in_order(tmp_path: Path) -> None:
    model = load_graph(_quantised(tmp_path))
    before = model.graph.initializers["conv3.weight/int8"].const_value.numpy()
    split_wide_convolutions(model, 200, alignment=1)
    left = [name for name in model.graph.initializers if name.startswith("conv3.weight/int8")]
    assert left == ["conv3.weight/int8/block0", "conv3.weight/int8/block1"]
    parts = [model.graph.initializers[name].const_value.numpy() for name in left]
    assert [part.shape[0] for part in parts] == [3, 3]
    assert np.array_equal(np.concatenate(parts), before)


def test_blocks_are_whole_registers_wide_but_the_last(tmp_path: Path) -> None:
    model = load_graph(_quantised(tmp_path))
    split_wide_convolutions(model, 110, alignment=4)  # 324 bytes in three blocks would be two channels each
    weights = {name: value.shape for name, value in model.graph.initializers.items() if name.startswith("conv3.weight")}
    assert [shape[0] for name, shape in weights.items() if "/int8/" in name] == [4, 2]


def test_a_convolution_that_ends_in_float_stays_whole(tmp_path: Path) -> None:
    model = load_graph(_quantised(tmp_path, score=False))  # score_fr is quantised, and an Add reads its floats
    assert split_wide_convolutions(model, 1) == ["conv2", "conv3"]
