"""The ranges that a quantised graph covers are those that calibration chose."""

from __future__ import annotations

import pytest

import fcn_deploy
from fcn_deploy.drift.quantised_ranges import load_quantised
from tests.support.small_fcn import write_fcn


@pytest.mark.parametrize("target", ["cpu", "tensorrt"])
@pytest.mark.parametrize("precision", ["int8", "int8+fp16"])
def test_the_tensors_and_ranges_are_those_of_the_calibration(tmp_path, target, precision):
    if target == "cpu" and precision == "int8+fp16":
        return  # no such kernels, and quantize refuses it
    report = fcn_deploy.quantize(
        write_fcn(tmp_path / "small.onnx"),
        tmp_path / "int8.onnx",
        precision=precision,
        target=target,
        calibration="synthetic:3:0:32x48",
    )
    found = load_quantised(tmp_path / "int8.onnx")[1]
    assert found.keys() == report.ranges.keys()
    for name, (low, high) in report.ranges.items():
        step = (high - low) / 254
        assert found[name] == (pytest.approx(low, abs=1.01 * step), pytest.approx(high, abs=1.01 * step))
