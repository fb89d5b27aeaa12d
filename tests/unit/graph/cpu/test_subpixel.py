"""Upsampling by phases gives what the transposed convolution gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from fcn_deploy.graph.cpu.opening import for_kernels
from fcn_deploy.graph.cpu.subpixel import UPSAMPLING, phase_kernel, upsample_by_phases
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.graph.weights import save_graph
from fcn_deploy.runners.registry import open_runner
from tests.support.upsampling_graphs import CASES, IMAGE, upsampling_file


def _run(path: Path) -> np.ndarray:
    image = np.random.default_rng(3).normal(size=IMAGE).astype(np.float32)
    return open_cpu_session(path).run(None, {"x": image})[0]


def _rewrite(path: Path, target: Path) -> list[str]:
    model = load_graph(path)
    names = upsample_by_phases(model)
    save_graph(model, target)
    onnx.checker.check_model(str(target), full_check=True)
    return names


@pytest.mark.parametrize("attributes", CASES.values(), ids=CASES)
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
def test_every_logit_is_the_transposed_convolutions(tmp_path: Path, attributes: dict, bias: bool) -> None:
    before = upsampling_file(tmp_path / "before.onnx", labels=False, bias=bias, **attributes)
    assert _rewrite(before, tmp_path / "after.onnx") == ["up"]
    assert {node.op_type for node in onnx.load(tmp_path / "after.onnx").graph.node} == {"Conv", "DepthToSpace", "Slice"}
    np.testing.assert_allclose(_run(tmp_path / "after.onnx"), _run(before), atol=1e-5)  # FP32 sums in another order


def test_a_kernel_written_out_by_hand() -> None:
    """Stride 2, kernel 3: output row 2i + r sees row i through w[r] and row i - 1 through w[r + 2], if there is one."""
    rows = np.float32([1, 2, 3])
    weight = (rows[:, None] * np.float32([1, 10, 100])[None]).reshape(1, 1, 3, 3)
    split = phase_kernel(weight, 2).reshape(2, 2, 2, 2)  # phase row, phase column, tap row, tap column
    assert split[0, 0].tolist() == [[300, 3], [100, 1]]
    assert split[1, 0].tolist() == [[0, 0], [200, 2]]
    assert split[0, 1].tolist() == [[0, 30], [0, 10]]


def test_small_strides_groups_and_dilations_are_left_alone(tmp_path: Path) -> None:
    for attributes in (
        {"kernel_shape": [4, 4], "strides": [2, 2]},
        {"kernel_shape": [8, 8], "strides": [4, 4], "group": 3},
        {"kernel_shape": [8, 8], "strides": [4, 4], "dilations": [2, 2]},
        {"kernel_shape": [8, 8], "strides": [4, 5]},
        {"kernel_shape": [8, 8], "strides": [4, 4], "auto_pad": "SAME_UPPER"},
    ):
        path = upsampling_file(tmp_path / "before.onnx", labels=True, **attributes)
        assert _rewrite(path, tmp_path / "after.onnx") == []


def test_a_stored_bias_goes_with_its_layer_and_a_computed_one_leaves_it_alone(tmp_path: Path) -> None:
    path = upsampling_file(tmp_path / "m.onnx", labels=False, bias=True, kernel_shape=[8, 8], strides=[4, 4])
    model = load_graph(path)
    assert upsample_by_phases(model) == ["up"]
    assert "b" not in model.graph.initializers
    proto = onnx.load(path)
    proto.graph.node[0].input[2] = "computed"
    proto.graph.node.insert(0, helper.make_node("Neg", ["b"], ["computed"], name="neg"))
    onnx.save(proto, path)
    assert _rewrite(path, tmp_path / "after.onnx") == []
    assert np.array_equal(_run(tmp_path / "after.onnx"), _run(path))


def test_the_layer_keeps_its_name_and_says_why_it_is_float(tmp_path: Path) -> None:
    model = load_graph(upsampling_file(tmp_path / "m.onnx", labels=True, kernel_shape=[8, 8], strides=[4, 4]))
    upsample_by_phases(model)
    (conv,) = [node for node in model.graph if node.op_type == "Conv"]
    assert (conv.name, conv.metadata_props["fcn_deploy.keep"]) == ("up", UPSAMPLING)
    names = [output.name for node in model.graph for output in node.outputs]
    assert len(set(names)) == len(names)
    assert "logits" not in names  # what bore that name holds labels now


def test_a_runtime_opens_the_rewritten_graph_and_a_note_says_so(tmp_path: Path) -> None:
    path = upsampling_file(tmp_path / "m.onnx", labels=True, kernel_shape=[16, 16], strides=[8, 8])
    model, notes = for_kernels(path)
    assert isinstance(model, bytes)
    assert notes[0].startswith("up: computed as a convolution with a channel per output phase")
    assert "ConvTranspose" not in {node.op_type for node in onnx.load_from_string(model).graph.node}
    (tmp_path / "after.onnx").write_bytes(model)
    assert np.array_equal(_run(tmp_path / "after.onnx"), _run(path))


def test_what_is_large_old_or_not_to_be_read_is_opened_as_it_is(tmp_path: Path, monkeypatch: Any) -> None:
    attributes = {"kernel_shape": [16, 16], "strides": [8, 8]}
    old = upsampling_file(tmp_path / "old.onnx", labels=True, opset=12, **attributes)
    small_strides = upsampling_file(tmp_path / "small.onnx", labels=True, kernel_shape=[4, 4], strides=[2, 2])
    (tmp_path / "damaged.onnx").write_bytes(b"ConvTranspose, and nothing else")
    for path in (old, small_strides, tmp_path / "damaged.onnx", tmp_path / "missing.onnx"):
        assert for_kernels(path) == (path, ())
    path = upsampling_file(tmp_path / "m.onnx", labels=True, **attributes)
    stored = onnx.load(path)
    onnx.save(stored, tmp_path / "external.onnx", save_as_external_data=True, size_threshold=0)
    assert for_kernels(tmp_path / "external.onnx") == (tmp_path / "external.onnx", ())
    monkeypatch.setattr("fcn_deploy.graph.cpu.opening.MOST_BYTES", path.stat().st_size - 1)
    assert for_kernels(path) == (path, ())


@pytest.mark.parametrize("runner", ["onnxruntime", "openvino"])
def test_runners_on_a_cpu_give_the_labels_of_the_file(runner: str, tiny_onnx: Any) -> None:
    pytest.importorskip(runner)
    path = tiny_onnx("fcn8s")
    image = np.random.default_rng(5).integers(0, 256, (1, 45, 70, 3), np.uint8)
    with open_runner(f"{runner}:fp32" if runner == "openvino" else runner, str(path)) as opened:
        labels = opened.infer({"image": image})["labels"]
        assert [note for note in opened.notes if "output phase" in note]
    assert (labels == open_cpu_session(path).run(["labels"], {"image": image})[0]).mean() > 0.999
