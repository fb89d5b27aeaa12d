"""Accuracy as plain data."""

from __future__ import annotations

from fcn_deploy.evaluation.plain import to_plain
from tests.support.accuracy_report import accuracy_report


def test_the_accuracy_json_has_null_for_an_absent_class():
    plain = to_plain(accuracy_report())
    assert plain["overall"]["per_class_iou"] == [0.75, None]
    assert plain["overall"]["mean_iou"] == 0.7
