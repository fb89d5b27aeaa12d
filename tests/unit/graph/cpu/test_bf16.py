"""A BF16 file is computed in FP32 with every result rounded, as its own types say."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from fcn_deploy.graph.cpu.bf16 import NOTE, holds_bf16, round_in_fp32, rounded_in_fp32
from fcn_deploy.graph.load import load_graph
from fcn_deploy.quantization.rewrites.half import to_half
from fcn_deploy.quantization.rewrites.half_type import BF16, nodes_kept_in_fp32
from fcn_deploy.runners.registry import open_runner
from tests.support.small_fcn import images, write_fcn


@pytest.fixture
def bf16(tmp_path: Path) -> Path:
    path = write_fcn(tmp_path / "fcn.onnx")
    model = load_graph(path)
    to_half(model, nodes_kept_in_fp32(model, half=BF16), BF16)
    ir.save(model, tmp_path / "bf16.onnx")
    return tmp_path / "bf16.onnx"


def test_each_result_is_a_bf16_number_and_the_rounding_survives_optimisation(bf16):
    model = load_graph(bf16)
    assert holds_bf16(model)
    round_in_fp32(model)
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    assert not {tensor.data_type for tensor in proto.graph.initializer} & {onnx.TensorProto.BFLOAT16}
    names = ["conv1/widened", "conv2/widened", "conv3/widened"]
    proto.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in names)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for values in session.run(names, {"image": images(1)[0]}):
        assert np.array_equal(values, values.astype(ml_dtypes.bfloat16).astype(np.float32))


def test_onnx_runtime_runs_the_file_with_a_note_and_leaves_nothing_behind(bf16, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    image = images(1)[0]
    with (
        open_runner("onnxruntime", str(bf16)) as narrow,
        open_runner("onnxruntime", str(tmp_path / "fcn.onnx")) as wide,
    ):
        assert NOTE in narrow.notes
        assert NOTE not in wide.notes
        labels = [runner.infer({"image": image})["labels"] for runner in (narrow, wide)]
    assert (labels[0] == labels[1]).mean() > 0.95
    assert list((tmp_path / "temporary").iterdir()) == []


def test_another_file_is_used_as_it_is(bf16, tmp_path):
    with rounded_in_fp32(tmp_path / "fcn.onnx") as file:
        assert file == tmp_path / "fcn.onnx"
