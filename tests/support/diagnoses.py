"""A diagnosis with one clipped layer, for tests of its text and its plain data."""

from __future__ import annotations

from fcn_deploy.diagnosis.layer_errors import LayerError
from fcn_deploy.diagnosis.result import Change, Diagnosis, StageComparison
from fcn_deploy.diagnosis.tolerances import TOLERANCES
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.metrics.bootstrap import Interval, IouChange

IOU = IouChange(Interval(-0.0505, -0.0615, -0.0314), (Interval(-0.1, -0.2, 0.0), Interval(float("nan"))))
CLIPPED = LayerError("conv2", "Conv", "int8", 0.559, 0.2, 0.014, True, ("the scale of its input pool covers 10 %",))
FINE = LayerError("conv3", "Conv", "int8", 0.0141, 0.2, 0.014, False)
ODD = LayerError("up", "ConvTranspose", "fp32", float("inf"), 0.001, None, True)


def change(against: str) -> Change:
    return Change(against, PixelShare(9000, 10_000), PixelShare(600, 1000), IOU)


def step(name: str, **options: object) -> StageComparison:
    settings = {"mean_iou": 0.5, "before": change("fcn8s.onnx"), "first": change("PyTorch of fcn8s.onnx")} | options
    return StageComparison(name, "onnx", "int8", "ok", **settings)  # type: ignore[arg-type]


def diagnosis(*steps: StageComparison) -> Diagnosis:
    reference = StageComparison("PyTorch of fcn8s.onnx", "pytorch", "fp32", "ok", mean_iou=0.55)
    return Diagnosis((reference, *steps), "val.txt", 12, 12, 4, 3, ("road", "car"), TOLERANCES)


GUILTY = step(
    "fcn8s.int8.onnx", layers=(FINE, CLIPPED), layers_against="fcn8s.onnx", reasons=("10.00% of the labels differ",)
)
