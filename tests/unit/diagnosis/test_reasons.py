"""The verdict on a chain of stages."""

from __future__ import annotations

import pytest

from fcn_deploy.diagnosis.layer_errors import LayerError
from fcn_deploy.diagnosis.reasons import label_reasons, layer_reasons, only_rounding
from fcn_deploy.diagnosis.result import Change
from fcn_deploy.diagnosis.tolerances import TOLERANCES
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.metrics.bootstrap import Interval, IouChange


def change(differing: float, lost: float | None = None, better_end: float | None = None) -> Change:
    share = PixelShare(round(10_000 * (1 - differing)), 10_000)
    iou = (
        None
        if lost is None
        else IouChange(Interval(-lost / 100, -1.0, None if better_end is None else -better_end / 100), ())
    )
    return Change("earlier", share, share, iou)


LIMITS = TOLERANCES["int8"]  # 2 % of the labels, 0.3 points


def test_labels_beyond_the_limit_are_reported_and_an_earlier_stages_fault_is_not():
    assert label_reasons([change(0.03), change(0.05)], LIMITS, 0) == ["3.00% of the labels differ (tolerance 2.00%)"]
    assert label_reasons([change(0.03), change(0.01)], LIMITS, 0) == []  # the one before is at fault
    assert label_reasons([change(0.01), change(0.03)], LIMITS, 0) == []  # handed on
    assert label_reasons([change(0.03), change(0.03)], LIMITS, 0, rounding=True) == []


def test_a_loss_of_iou_counts_by_the_one_rule_and_on_enough_images():
    sure, unsure, bare = change(0, 1.0, 0.2), change(0, 1.0, -0.1), change(0, 1.0, None)
    reason = ["mean IoU fell by 1.00 points; at most 0.3 are allowed"]
    assert label_reasons([sure, sure], LIMITS, 8) == reason
    assert label_reasons([sure, sure], LIMITS, 7) == []
    assert label_reasons([sure, unsure], LIMITS, 8) == []  # chance may explain it
    assert label_reasons([bare, bare], LIMITS, 8) == reason  # without an interval the difference decides


def test_rounding_explains_labels_only_where_two_logits_were_as_good_as_equal():
    assert only_rounding(None, 10.0)  # no label differs
    assert only_rounding(0.002, 10.0)  # 2e-4 of the largest logit
    assert not only_rounding(0.0021, 10.0)
    assert not only_rounding(0.0, None)


def test_the_first_layer_out_of_line_is_the_reason_and_the_others_are_counted():
    layers = [LayerError(name, "Conv", "fp32", 0.1, 0.001, None, name != "a") for name in "abc"]
    assert layer_reasons(layers, "fcn.onnx") == ["b and 1 more out of line when fed the tensors of fcn.onnx"]
    assert layer_reasons(layers[:1], "fcn.onnx") == []
    assert layers[0].sqnr_db == pytest.approx(20)
