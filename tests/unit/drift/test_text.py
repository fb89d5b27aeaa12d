"""The text of a drift report: the answer, and a line for each figure that is out."""

from __future__ import annotations

from fcn_deploy.drift.result import AppearanceDrift, ClassDrift, ClassShares, DriftReport, LabelDrift, TensorDrift
from fcn_deploy.drift.text import render
from fcn_deploy.metrics.bootstrap import Interval

FOUND = DriftReport(
    model="int8.onnx",
    reference="fp32.onnx",
    images=20,
    calibration_images=60,
    available=20,
    baseline="60 calibration images of calib.cache",
    unjudged="",
    false_alarms=0.05,
    tensors=(
        TensorDrift("backbone.stage1.relu1", 0.0, 6.0625, 0.0123, 0.00001, 0.001, 0.38, 0.1),
        TensorDrift("backbone.stage1.pool", 0.0, 14.0, 0.0, 0.00001, 0.001, 0.0, 0.1),
    ),
    labels=(LabelDrift("all", Interval(0.0172, 0.0146, 0.02), 0.0026, 0.0052),),
    classes=ClassShares(0.51, 0.37, (ClassDrift("tree", 0.54, 0.12, 0.34), ClassDrift("sky", 0.1, 0.1, 0.2))),
    appearance=(AppearanceDrift("brightness", 36.55, 107.1, 89.65, 124.8),),
)


def test_each_figure_that_is_out_has_a_line_that_fits_80_columns():
    _, *lines = map(str, render(FOUND))
    assert lines == [
        "  brightness 36.55, calibration 107.1 (in order 89.65 to 124.8)",
        "  51.0% of the pixels are of other classes than in the calibration (limit 37.0%)",
        "  tree: 54.0% of the pixels, calibration 12.0% (in order 0.0% to 46.0%)",
        "  labels unlike FP32's, all: 1.72%, calibration 0.26% (limit 0.52%)",
        "  values beyond a tensor's range, with the calibration's share:",
        "    backbone.stage1.relu1: 1.230% beyond 0 to 6.06, 0.001% (limit 0.100%)",
        "20 images compared with 60 calibration images of calib.cache",
    ]
    assert max(map(len, lines)) <= 80
