"""What is tried: runners, precisions, sizes, and INT8 for one target or two."""

from __future__ import annotations

import pytest

from fcn_deploy.choice.candidates import list_candidates
from fcn_deploy.choice.sizes import InputSize
from fcn_deploy.errors import UnknownNameError


def _found(*runners: str, **more: object) -> list[tuple[str, str]]:
    found = list_candidates("demo", runners, ("fp32", "int8"), (InputSize(),), **more)  # type: ignore[arg-type]
    return [(each.name, each.spec.target) for each in found if each.precision != "fp32"]


def test_int8_is_made_for_the_runners_own_target():
    assert _found("onnxruntime", "tensorrt") == [("onnxruntime:int8", "cpu"), ("tensorrt:int8", "tensorrt")]


def test_both_targets_are_tried_where_the_runner_takes_both():
    assert _found("onnxruntime", "tensorrt", targets=("cpu", "tensorrt")) == [
        ("onnxruntime:int8", "cpu"),
        ("onnxruntime:int8 for tensorrt", "tensorrt"),
        ("tensorrt:int8", "tensorrt"),
    ]
    assert _found("tensorrt", targets=("cpu",)) == []


def test_an_unknown_target_is_named():
    with pytest.raises(UnknownNameError, match="unknown target 'gpu'"):
        _found("onnxruntime", targets=("gpu",))
