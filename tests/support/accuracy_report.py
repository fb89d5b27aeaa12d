"""The accuracy of a model of two classes."""

from __future__ import annotations

from fcn_deploy.evaluation.report import AccuracyReport
from fcn_deploy.metrics.boundary_iou import BoundaryIou
from fcn_deploy.metrics.scores import Scores


def accuracy_report() -> AccuracyReport:
    nan = float("nan")
    whole = Scores(0.9, 0.8, 0.7, 0.6, 0.5, 0.4, (0.75, nan), (0.85, nan), (0.65, nan), (0.95, nan), pixels=3102)
    counts, near = ((3000, 102), (0, 0)), BoundaryIou(0.35, (0.35, nan))
    return AccuracyReport(
        "m.onnx", "0" * 64, "onnxruntime", "list.txt", ("road", "pole"), 2, 1, 3, whole, whole, whole, near, counts
    )
