"""A channel that 8 bits cannot hold costs next to nothing, and no layer stays in float for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from fcn_deploy.data.options import DataOptions
from fcn_deploy.evaluation.evaluate import evaluate
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.quantization.text import render
from tests.support.contract_graphs import small_graph
from tests.support.planted_channel import label_scenes, planted_fcn
from tests.support.small_fcn import small_weights, write_fcn

MOST = 0.3  # points of mIoU


def _loss(fp32: Path, int8: Path, data: str, labels: str | None = None) -> float:
    """Points of mIoU from one file to the other."""
    before, after = (evaluate(path, DataOptions(data, labels=labels)) for path in (fp32, int8))
    return 100 * (before.overall.mean_iou - after.overall.mean_iou)


@pytest.mark.parametrize("target", ["cpu", pytest.param("tensorrt", marks=pytest.mark.long)])
def test_a_planted_channel_costs_next_to_nothing_with_no_more_layers_in_float(target, tmp_path):
    planted, healthy = planted_fcn(tmp_path / "planted.onnx"), write_fcn(tmp_path / "healthy.onnx", small_weights())
    label_scenes(tmp_path, healthy, 4)
    photos, maps = str(tmp_path / "photos"), str(tmp_path / "maps")
    common = {"precision": "int8", "calibration": photos, "target": target, "quantize_first": True}
    found = {}
    for name, source, options in (
        ("healthy", healthy, {}),
        ("planted", planted, {}),
        ("not equalised", planted, {"equalize": False}),
    ):
        report = quantize(source, tmp_path / "int8.onnx", **common, **options)
        found[name] = _loss(source, tmp_path / "int8.onnx", photos, maps), report.kept_in_float
    lost = {name: loss - found["healthy"][0] for name, (loss, _) in found.items()}
    assert lost["not equalised"] > 5
    assert lost["planted"] < 1  # random weights: half of the labels lie close together; of the demo it is MOST
    assert found["planted"][1] == found["healthy"][1]


def test_a_network_without_a_channel_to_equalise_says_so_where_that_was_asked(tmp_path):
    """One convolution, whose result is handed out."""
    ir.save(small_graph(outputs=("labels", "logits")), tmp_path / "m.onnx")
    common = {"precision": "int8", "calibration": "synthetic:1:1:48x64", "quantize_first": True}
    common["quantize_scores"] = True
    for asked in (True, None):
        report = quantize(tmp_path / "m.onnx", tmp_path / "int8.onnx", equalize=asked, **common)
        assert ("no channels equalised: " in "\n".join(render(report))) is (asked is True)


def plant(source: Path, target: Path, factor: float = 300.0) -> Path:
    """A channel of the demo is `factor` times as large, and what reads it multiplies by as much less."""
    model = onnx.load(source)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    changes = {
        "stage3.conv2.weight": lambda values: values[0] * factor,
        "stage3.conv2.bias": lambda values: values[0] * factor,
        "stage3.conv3.weight": lambda values: values[:, 0] / factor,
    }
    for name, change in changes.items():
        (tensor,) = (stored[key] for key in stored if key.endswith(name))
        values = numpy_helper.to_array(tensor).copy()
        where = (slice(None), 0) if name.endswith("conv3.weight") else 0
        values[where] = change(values)
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
    onnx.save(model, target)
    return target


@pytest.mark.long
@pytest.mark.parametrize("target", ["cpu", "tensorrt"])
def test_of_the_demo_too(target, demo_onnx, tmp_path):
    planted, int8 = plant(demo_onnx, tmp_path / "planted.onnx"), tmp_path / "int8.onnx"
    report = quantize(planted, int8, precision="int8", target=target, calibration="synthetic:20:1001")
    assert set(report.kept_in_float) <= {"backbone.stage1.conv1", "score_fr", "score_pool4", "score_pool3"}
    assert _loss(planted, int8, "synthetic:40:1002") < MOST
    quantize(planted, int8, precision="int8", target=target, calibration="synthetic:20:1001", equalize=False)
    assert _loss(planted, int8, "synthetic:40:1002") > 10 * MOST
