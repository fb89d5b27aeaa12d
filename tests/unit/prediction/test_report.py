"""What `predict --json` writes."""

from __future__ import annotations

from dataclasses import replace

from fcn_deploy.prediction.report import Failure, PredictReport
from fcn_deploy.prediction.text import headline


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
        "first_s": 0.0,
        "images_per_s": 1.5,
    }


def test_the_headline_has_the_rate_without_a_slow_first_image_and_what_bound_the_run():
    report = PredictReport("m.onnx", "onnxruntime:cuda", "masks", "raw", 101, 0, (), 4.0, (), None)
    assert headline(report) == "onnxruntime:cuda wrote 101 label maps to masks in 4.0 s (25.2 images/s)"
    slow = replace(report, first_s=2.0, waited={"decoding": 0.05, "inference": 0.9, "writing": 0.01})
    assert headline(slow) == (
        "onnxruntime:cuda wrote 101 label maps to masks in 4.0 s (25.2 images/s, 50.0 after the first); "
        "bound by inference (waited 5% for decoding, 90% for inference, 1% for writing)"
    )
