"""The least number of inputs of each operator, as the installed onnx defines them."""

from __future__ import annotations

import onnx

from fcn_deploy.graph.precheck.arity import LEAST_INPUTS


def test_no_operator_of_onnx_takes_fewer_inputs():
    too_many = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain and LEAST_INPUTS.get(schema.name, 1) > schema.min_input:
            too_many[schema.name] = schema.min_input
    assert too_many == {}


def test_the_layers_of_segmentation_networks_are_listed():
    assert {name: LEAST_INPUTS[name] for name in ("Conv", "ConvTranspose", "Add", "BatchNormalization")} == {
        "Conv": 2, "ConvTranspose": 2, "Add": 2, "BatchNormalization": 5
    }  # fmt: skip
    assert "Relu" not in LEAST_INPUTS
