"""Suites are read from TOML, each of them fits its module, and a slip is told."""

from __future__ import annotations

import importlib
import inspect

import pytest

from benchmarks.suite import load_suite, names
from fcn_deploy.errors import RecordError, UnknownNameError


@pytest.mark.parametrize("name", names())
def test_every_suite_has_the_parameters_that_its_module_takes(name):
    suite = load_suite(name)
    measure = importlib.import_module(f"benchmarks.{suite.module}").measure
    assert set(suite.parameters) == set(inspect.signature(measure).parameters)
    assert suite.question


def test_given_values_are_toml_or_else_text():
    suite = load_suite("decode", ["rounds=2", 'sizes=["33x47"]'])
    assert suite.parameters == {"rounds": 2, "sizes": ["33x47"]}
    assert load_suite("quantization", ["model=my/fcn8s.onnx"]).parameters["model"] == "my/fcn8s.onnx"


def test_a_run_gives_the_rows_of_the_module():
    rows, facts = load_suite("decode", ["rounds=2", 'sizes=["33x47"]']).measure()
    assert [len(values) for row in rows for values in row["samples_ms"].values()] == [2, 2, 2, 2]
    assert facts["warm_ups"] == 3


def test_a_mistyped_name_is_rejected_with_the_near_match(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean peers"):
        load_suite("pears")
    with pytest.raises(UnknownNameError, match="unknown parameter of decode 'round'; did you mean rounds"):
        load_suite("decode", ["round=2"])
    (tmp_path / "half.toml").write_text('question = "what"\nmodule = "decode"\n')
    with pytest.raises(RecordError, match=r"half\.toml: missing packages, parameters"):
        load_suite("half", folder=tmp_path)
