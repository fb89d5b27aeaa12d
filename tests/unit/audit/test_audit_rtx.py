"""The preflight and the precisions against the real library: what its parser rejects, what its builder chose."""

from __future__ import annotations

import json
from itertools import product

import pytest
from click.testing import CliRunner

from fcn_deploy.audit.audit import audit
from fcn_deploy.cli.commands.audit import command as audit_command
from fcn_deploy.engine.builder.parse import parser_findings
from fcn_deploy.engine.flavors import RTX
from fcn_deploy.errors import MissingDependencyError
from fcn_deploy.system.optional import require
from tests.support.audit_graphs import (
    ERRORS,
    PARSER_ACCEPTS,
    WARNINGS,
    constants,
    conv,
    int8_conv,
    node,
    quantised_data,
    quantised_weights,
    weights,
    write,
)
from tests.support.rtx_layers import built_type, layers


@pytest.fixture(scope="module")
def trt():
    try:
        return require(RTX)
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("rule", [rule for rule in ERRORS if rule not in PARSER_ACCEPTS])
def test_the_parser_rejects_what_the_preflight_calls_an_error(rule, trt, tmp_path):
    make, name = ERRORS[rule]
    found = parser_findings(make(tmp_path / "m.onnx"))
    assert found, "the parser accepts it: this is a warning at most"
    assert {finding.level for finding in found} == {"error"}
    assert name in {name for finding in found for name in finding.names}
    assert "cudaError" not in found[0].problem


@pytest.mark.parametrize("rule", WARNINGS)
def test_the_parser_accepts_what_is_a_warning_alone(rule, trt, tmp_path):
    assert parser_findings(WARNINGS[rule][0](tmp_path / "m.onnx")) == ()


def test_junk_that_the_parser_takes_for_a_network_counts_as_rejected(trt, tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"")
    (finding,) = parser_findings(tmp_path / "x.onnx")
    assert "0 inputs and 0 outputs" in finding.problem


def test_the_parser_s_verdict_joins_the_preflight_s(trt, tmp_path):
    path = ERRORS["mixed-types"][0](tmp_path / "m.onnx")
    result = CliRunner().invoke(audit_command, [str(path), "--parse", "rtx", "--json", "-"])
    rules = [finding["rule"] for finding in json.loads(result.output)["findings"]]
    assert rules[0] == "mixed-types"
    assert rules[-1] == "parser"


DATA = {
    "quantised": quantised_data(),
    "scale a channel": quantised_data(scale=[0.1] * 8),
    "float": ([node("Neg", ["x"], "xd", "neg")], {}),
    "cast": (
        [*quantised_data()[0][:1], node("DequantizeLinear", ["xq", "xs", "xz"], "xf", "xDQ")],
        quantised_data()[1],
    ),
    "relu between": quantised_data(),
    "pool between": quantised_data(),
}
WEIGHTS = {
    "axis 0": quantised_weights(8, 8, 3, 3),
    "axis 1": quantised_weights(8, 8, 3, 3, axis=1),
    "one scale": quantised_weights(8, 8, 3, 3, per_tensor=True),
    "float": constants(wd=weights(8, 8, 3, 3)),
}
BETWEEN = {
    "cast": [node("Cast", ["xf"], "xd", "cast", to=1)],
    "relu between": [node("Relu", ["xd"], "xm", "relu")],
    "pool between": [node("MaxPool", ["xd"], "xm", "pool", kernel_shape=[2, 2])],
}


@pytest.mark.parametrize(("data", "weight"), list(product(DATA, WEIGHTS)))
def test_the_builder_computes_in_the_type_that_the_audit_says(data, weight, trt, tmp_path):
    flow = "xm" if "between" in data else "xd"
    path = write(tmp_path / "m.onnx", DATA[data], (BETWEEN.get(data, []), {}), WEIGHTS[weight], conv(flow))
    (row,) = audit(path).rows
    assert built_type(path, "correlation") == row.precision


@pytest.mark.parametrize("op_type", ["MatMul", "Gemm"])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_product_is_int8_if_the_scales_run_over_its_outputs(op_type, axis, trt, tmp_path):
    """The other axis makes one fused kernel of float arithmetic, in which no layer is a gemm."""
    nodes = [
        node("GlobalAveragePool", ["x"], "p", "pool"),
        node("Flatten", ["p"], "xf", "flatten"),
        node("QuantizeLinear", ["xf", "xs", "xz"], "xq", "xQ"),
        node("DequantizeLinear", ["xq", "xs", "xz"], "xd", "xDQ"),
    ]
    multiply = [node(op_type, ["xd", "wd"])]
    path = write(
        tmp_path / "m.onnx",
        (nodes, quantised_data()[1]),
        quantised_weights(8, 16, axis=axis),
        (multiply, {}),
        shape=(3, 8, 16, 16),
    )
    (row,) = audit(path).rows
    assert row.precision == ("INT8" if axis == 1 else "FP32")
    assert (built_type(path, "gemm") == "INT8") == (row.precision == "INT8")


def test_a_quantised_deconvolution_is_built_in_float(trt, tmp_path):
    path = WARNINGS["quantised-deconvolution"][0](tmp_path / "m.onnx")
    assert built_type(path, "deconv") == "FP32"


def test_a_bfloat16_deconvolution_passes_the_parser_and_fails_in_the_builder(trt, tmp_path):
    path = ERRORS["bf16-deconvolution"][0](tmp_path / "m.onnx")
    assert parser_findings(path) == ()
    assert layers(path) is None


def test_a_sound_file_is_built(trt, tmp_path):
    path = int8_conv(tmp_path / "m.onnx")
    assert parser_findings(path) == ()
    assert any(layer.precision == "INT8" for layer in layers(path))
