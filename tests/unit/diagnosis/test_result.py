"""A diagnosis as plain data, and its verdict."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.support.diagnoses import CLIPPED, FINE, GUILTY, ODD, diagnosis


def test_json_writes_null_for_what_is_not_finite_and_the_verdict_in_parts():
    plain = diagnosis(replace(GUILTY, layers=(ODD, FINE))).to_plain()
    json.dumps(plain, allow_nan=False)
    assert (plain["first_step"], plain["first_layer"], plain["causes"]) == ("fcn8s.int8.onnx", "up", [])
    assert plain["steps"][1]["layers"][0]["error"] is None
    assert plain["steps"][1]["before"]["iou"]["mean"] == {"value": -0.0505, "low": -0.0615, "high": -0.0314}
    assert plain["tolerances"]["fp16"] == {"labels": 0.005, "miou": 0.05, "layer": 0.01}


def test_the_verdict_names_step_layer_and_cause():
    assert diagnosis(GUILTY).verdict == (
        "first step that diverges: fcn8s.int8.onnx; first layer: conv2: the scale of its input pool covers 10 %"
    )
    assert diagnosis(replace(GUILTY, layers=(ODD,))).verdict.endswith(
        "first layer: up: fed the same tensors it errs by infinitely much"
    )
    normalisation = replace(CLIPPED, name="contract/subtract_mean")
    assert (
        "first layer: contract/subtract_mean (the normalisation): "
        in diagnosis(replace(GUILTY, layers=(normalisation,))).verdict
    )


def test_the_verdict_says_so_where_no_layer_can_be_blamed():
    assert diagnosis(replace(GUILTY, layers=(FINE,))).verdict == (
        "first step that diverges: fcn8s.int8.onnx: 10.00% of the labels differ; no layer alone is out of line; the "
        "largest error is 1.4 % at conv3"
    )
    engine = replace(GUILTY, kind="engine", layers=(), no_layers="an engine shows none of its tensors")
    assert diagnosis(engine).verdict.endswith("10.00% of the labels differ; an engine shows none of its tensors")
    assert diagnosis(replace(GUILTY, reasons=())).verdict == "no step diverges: 1 step within the tolerances"
