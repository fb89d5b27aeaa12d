"""What `predict --json` writes."""

from __future__ import annotations

from fcn_deploy.prediction.report import Failure, PredictReport


def test_the_json_has_counts_failures_and_the_rate():
    report = PredictReport(
        "m.onnx", "onnxruntime", "masks", "raw", 3, 1, (Failure("a.png", "no image"),), 2.0, ("road", "car"), (5, 7)
    )
    assert report.to_plain() == {
        "schema": 1,
        "kind": "predict",
        "model": "m.onnx",
        "runner": "onnxruntime",
        "target": "masks",
        "format": "raw",
        "written": 3,
        "skipped": 1,
        "failures": [{"name": "a.png", "reason": "no image"}],
        "seconds": 2.0,
        "classes": ["road", "car"],
        "pixels": [5, 7],
        "notes": [],
        "waited": None,
        "images_per_s": 1.5,
    }
