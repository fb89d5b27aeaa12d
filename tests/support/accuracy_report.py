"""The accuracy of a model of two classes."""

from __future__ import annotations

from fcn_deploy.evaluation.report import AccuracyReport
from fcn_deploy.metrics.scores import Scores


def accuracy_report() -> AccuracyReport:
    whole = Scores(0.9, 0.8, 0.7, 0.6, (0.75, float("nan")), pixels=3102)
    return AccuracyReport("m.onnx", "0" * 64, "onnxruntime", "list.txt", ("road", "pole"), 2, 1, 3, whole, whole, whole)
