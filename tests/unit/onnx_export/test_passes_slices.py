"""Slices of several axes, merged into one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx import helper

from fcn_deploy.onnx_export.passes import merge_slices
from tests.support.onnx_files import model_of, reference_output


def _crop_twice(second_axis: int, *, use_between: bool = False) -> ir.Model:
    constants = {
        "s1": np.array([1]), "e1": np.array([4]), "a1": np.array([2]), "one": np.array([1]),
        "s2": np.array([0]), "e2": np.array([3]), "a2": np.array([second_axis]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Slice", ["x", "s1", "e1", "a1", "one"], ["between"], name="first"),
        helper.make_node("Slice", ["between", "s2", "e2", "a2", "one"], ["cut"], name="second"),
        helper.make_node("Add", ["cut", "between"] if use_between else ["cut", "cut"], ["y"], name="add"),
    ]
    return model_of(nodes, constants)


X = np.arange(2 * 2 * 5 * 3, dtype=np.float32).reshape(2, 2, 5, 3)


def test_slices_of_two_axes_become_one_with_the_same_result():
    model = _crop_twice(second_axis=3)
    before = reference_output(model, X)
    merge_slices(model)
    assert [node.op_type for node in model.graph] == ["Slice", "Add"]
    assert np.array_equal(reference_output(model, X), before)
    assert np.array_equal(before, 2 * X[:, :, 1:4, 0:3])


def test_slices_of_the_same_axis_are_left_alone():
    model = _crop_twice(second_axis=2)
    merge_slices(model)
    assert [node.op_type for node in model.graph] == ["Slice", "Slice", "Add"]


def test_a_slice_that_something_else_reads_is_left_alone():
    model = _crop_twice(second_axis=3, use_between=True)
    merge_slices(model)
    assert [node.op_type for node in model.graph] == ["Slice", "Slice", "Add"]
