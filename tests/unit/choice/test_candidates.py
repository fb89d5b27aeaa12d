"""What is tried: runners, precisions, sizes, and INT8 for one target or two."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_deploy.card import ModelCard
from fcn_deploy.choice.candidates import Candidate, candidates_of, list_candidates
from fcn_deploy.choice.options import ChoiceOptions
from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import ExportError, ShapeError, UnknownNameError
from fcn_deploy.metrics.budget import AccuracyBudget


def _found(*runners: str, **more: object) -> list[tuple[str, str]]:
    found = list_candidates("demo", runners, ("fp32", "int8"), **more)  # type: ignore[arg-type]
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


def _at(*sizes: str, own: str = "") -> tuple[Candidate, ...]:
    options = ChoiceOptions(
        "demo", Path("best.onnx"), DataOptions("val.txt"), AccuracyBudget(1), runners=("onnxruntime",),
        precisions=("fp32",), sizes=sizes or None,
    )  # fmt: skip
    return candidates_of(options, ModelCard("fcn8s", ("a", "b"), network_size=own))


def test_each_size_has_files_of_its_own_and_the_models_own_size_is_the_model_as_it_is():
    assert [(each.name, each.network_size) for each in _at("1", "0.50", "1.0", "longest:128", "64x96")] == [
        ("onnxruntime", None),
        ("onnxruntime at 0.5", "0.5"),
        ("onnxruntime at longest:128", "longest:128"),
        ("onnxruntime at 64x96", "64x96"),
    ]
    assert [(each.name, each.network_size) for each in _at(own="0.5")] == [("onnxruntime", None)]
    assert [(each.name, each.network_size) for each in _at("1", own="0.5")] == [("onnxruntime at 1", "")]


def test_the_network_sides_are_those_of_the_graph():
    assert [each.network_sides((360, 481)) for each in _at("1", "0.5", "64x96")] == [(360, 481), (180, 241), (64, 96)]


def test_a_size_below_the_stride_and_what_is_not_a_size_are_refused_before_anything_is_made():
    with pytest.raises(ExportError, match="a network size of 16x320 is below the stride of fcn8s, 32"):
        _at("16x320")
    with pytest.raises(ShapeError, match="'half' is not a network size"):
        _at("half")
