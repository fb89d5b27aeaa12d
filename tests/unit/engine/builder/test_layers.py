"""The builder's layer list: read in both libraries' notations, and held against the audit's promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_deploy.audit.audit import Audit, AuditRow
from fcn_deploy.engine.builder.layers import compare_precision, layers_of, read_activation_bytes, read_layers
from fcn_deploy.engine.sidecar import EngineLayer
from fcn_deploy.graph.sizes import ImageSize

# As TensorRT for RTX 1.7 writes them; shortened.
RTX = """
Name: __mye1959_0_myl0_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , Metadata:
Name: __myl_CastConv_myl0_1, LayerType: kgen, Inputs: [ { Name: image, Dimensions: [1,-1,-1,3], Datatype: UInt8, \
Format: (Linear) Row major linear format }], Constants: [ { Name: c, Datatype: Float, Format: x }], Outputs: [ { \
Name: t, Datatype: Half, Format: x }], StreamId: 0, Metadata: [ONNX Layer: contract/to_float][ONNX Layer: conv1]
Name: conv1_U4_myl0_2, LayerType: correlation, Inputs: [ { Name: t, Datatype: Half, Format: x }], Constants: [ { \
Name: w, Datatype: Half, Format: x }], Outputs: [ { Name: u, Datatype: Half }], Metadata: [ONNX Layer: conv1]\
[ONNX Layer: relu1]
Name: up [profile 1]_U6_myl1_9, LayerType: deconv, Inputs: [ { Name: u, Datatype: Float, Format: x }], Constants: [], \
Outputs: [], Metadata: [ONNX Layer: up]
"""
# As TensorRT 10 writes them (documented form of the inspector's lines).
TENSORRT = """
Name: conv1 + relu1, LayerType: CaskConvolution, Inputs: [ { Name: x, Location: Device, Dimensions: [1,3,8,8], \
Format/Datatype: Thirty-two wide channel vectorized row major Int8 format }], Outputs: [ { Name: y, \
Format/Datatype: Row major linear FP32 }], ParameterType: Convolution, Metadata: [ONNX Layer: conv1][ONNX Layer: relu1]
Name: fc, LayerType: MatrixMultiply, Inputs: [ { Name: y, Format/Datatype: Row major linear FP16 format }], \
Outputs: [], Metadata: [ONNX Layer: fc]
"""


def test_type_nodes_and_profile_of_each_rtx_layer_are_read():
    first, head, conv, up = read_layers(RTX.splitlines())
    assert first == EngineLayer("__mye1959_0_myl0_0", "shape_call", "", (), 0)
    assert (head.kind, head.precision, head.nodes) == ("kgen", "UInt8", ("contract/to_float", "conv1"))
    assert conv == EngineLayer("conv1_U4_myl0_2", "correlation", "FP16", ("conv1", "relu1"), 0)
    assert (up.precision, up.nodes, up.profile) == ("FP32", ("up",), 1)


def test_tensorrt_s_longer_words_for_a_type_are_read():
    conv, fc = read_layers(TENSORRT.splitlines())
    assert (conv.kind, conv.precision, conv.nodes) == ("CaskConvolution", "INT8", ("conv1", "relu1"))
    assert (fc.precision, fc.nodes) == ("FP16", ("fc",))


def test_activation_memory_is_read_for_each_profile():
    log = ["Total Activation Memory: 311 bytes", "Total Weights Memory: 5 bytes", "Total Activation Memory: 1024 bytes"]
    assert read_activation_bytes(log) == (311, 1024)


def _audit(*rows):
    return Audit(
        Path("m.onnx"), ImageSize(2, 33, 47), tuple(AuditRow(n, "Conv", p, None, m, "") for n, p, m in rows), ()
    )


def test_the_layer_that_multiplies_counts_and_not_the_one_that_prepares_its_data():
    layers = read_layers(RTX.splitlines())
    row = _audit(("conv1", "FP16", 10)).rows[0]
    assert [layer.name for layer in layers_of(row, layers)] == ["conv1_U4_myl0_2"]
    shares = compare_precision(_audit(("conv1", "FP16", 10), ("up", "FP32", 5)), layers)
    assert (shares.size, shares.promised, shares.built) == (
        (2, 33, 47),
        {"FP16": 10, "FP32": 5},
        {"FP16": 10, "FP32": 5},
    )
    assert shares.disagreements == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("conv1", "conv1: INT8 in the file, FP16 in the engine"),
        ("conv9", "conv9: INT8 in the file, not listed in the engine"),
    ],
)
def test_a_layer_of_another_type_or_one_that_is_not_listed_is_a_disagreement(name, said):
    shares = compare_precision(_audit((name, "INT8", 10)), read_layers(RTX.splitlines()))
    assert shares.disagreements == (said,)
    assert shares.built != shares.promised


def test_a_type_that_differs_between_profiles_is_a_disagreement():
    layers = (
        EngineLayer("fc_myl0_1", "gemm", "INT8", ("fc",), 0),
        EngineLayer("fc_myl1_1", "gemm", "FP32", ("fc",), 1),
    )
    shares = compare_precision(_audit(("fc", "INT8", 10)), layers)
    assert shares.disagreements == ("fc: INT8 in the file, INT8 and FP32 in the engine",)
    assert shares.built == {"unknown": 10}


def test_a_node_without_a_name_is_found_by_its_output():
    layers = (EngineLayer("node_of_y_myl0_1", "correlation", "FP16", ("node_of_y", "node_of_z")),)
    assert compare_precision(_audit(("y", "FP16", 1)), layers).disagreements == ()


def test_a_name_that_starts_like_another_is_not_taken_for_it():
    layers = (
        EngineLayer("score_myl0_1", "correlation", "INT8"),
        EngineLayer("score_fr_U2_myl0_2", "correlation", "FP32"),
    )
    assert [layer.precision for layer in layers_of(_audit(("score", "INT8", 1)).rows[0], layers)] == ["INT8"]
