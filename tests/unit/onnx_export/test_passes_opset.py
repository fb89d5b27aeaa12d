"""Files of an older opset."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import pytest
from onnx import helper

from fcn_deploy.errors import ExportError
from fcn_deploy.onnx_export.passes import lower_opset
from tests.support.onnx_files import model_of, reference_output

X = np.arange(2 * 2 * 5 * 3, dtype=np.float32).reshape(2, 2, 5, 3)


def _resize(**attributes: object) -> ir.Model:
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], name="up", mode="linear", **attributes)
    return model_of([node], {"sizes": np.array([2, 2, 7, 9])})


def test_resize_loses_the_attributes_of_opset_18_and_keeps_its_result():
    model = _resize(antialias=0, keep_aspect_ratio_policy="stretch")
    before = reference_output(model, X)
    lower_opset(model)
    assert model.opset_imports[""] == 17
    assert set(model.graph[0].attributes) == {"mode"}
    onnx.checker.check_model(ir.to_proto(model))
    assert np.array_equal(reference_output(model, X), before)


def test_an_antialiased_resize_is_refused():
    with pytest.raises(ExportError, match="node up: Resize with antialias=1 does not exist in opset 17"):
        lower_opset(_resize(antialias=1))


def test_an_operator_of_another_domain_is_refused():
    node = helper.make_node("Gelu", ["x"], ["y"], name="g", domain="com.microsoft")
    with pytest.raises(ExportError, match=r"com\.microsoft\.Gelu"):
        lower_opset(model_of([node], {}))
