"""A diagnosis as plain data."""

from __future__ import annotations

import json
from dataclasses import replace

from fcn_deploy.diagnosis.plain import to_plain
from tests.support.diagnoses import FINE, GUILTY, ODD, diagnosis


def test_json_writes_null_for_what_is_not_finite_and_the_verdict_in_parts():
    plain = to_plain(diagnosis(replace(GUILTY, layers=(ODD, FINE))))
    json.dumps(plain, allow_nan=False)
    assert (plain["first_step"], plain["first_layer"], plain["causes"]) == ("fcn8s.int8.onnx", "up", [])
    assert plain["steps"][1]["layers"][0]["error"] is None
    assert plain["steps"][1]["before"]["iou"]["mean"] == {"value": -0.0505, "low": -0.0615, "high": -0.0314}
    assert plain["tolerances"]["fp16"] == {"labels": 0.005, "miou": 0.05, "layer": 0.01}
