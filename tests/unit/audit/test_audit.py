"""Multiply-adds against numbers worked out by hand, precisions and reasons against hand-made graphs."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto

from fcn_deploy.audit.audit import audit
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.float_layers import KEEP_KEY
from fcn_deploy.onnx_export.export import export_model
from tests.conftest import tiny_model
from tests.support.audit_graphs import (
    constants,
    conv,
    deconvolution,
    int8_conv,
    node,
    quantised_data,
    quantised_weights,
    weights,
    write,
)


def _row(path, **size):
    (row,) = audit(path, **size).rows
    return row


def _one(path, op_type, weight_shape, *, shape, **attributes):
    parts = constants(w=weights(*weight_shape)), ([node(op_type, ["x", "w"], **attributes)], {})
    return _row(write(path / "m.onnx", *parts, shape=shape))


def test_a_padded_convolution_of_two_images(tmp_path):
    # 2 images, 5 outputs, 33 x 47 positions, 3 inputs, 3 x 3 kernel: 10 * 1551 * 27.
    row = _one(tmp_path, "Conv", (5, 3, 3, 3), shape=(2, 3, 33, 47), pads=[1, 1, 1, 1])
    assert (row.output_shape, row.macs) == ((2, 5, 33, 47), 418_770)


def test_a_strided_grouped_and_dilated_convolution(tmp_path):
    # Stride 2, dilation 2, no padding: ((33 - 5) // 2 + 1) x ((47 - 5) // 2 + 1) = 15 x 22; 2 of 4 channels a group.
    row = _one(
        tmp_path, "Conv", (6, 2, 3, 3), shape=(1, 4, 33, 47), strides=[2, 2], dilations=[2, 2], group=2, pads=[0] * 4
    )
    assert (row.output_shape, row.macs) == ((1, 6, 15, 22), 6 * 330 * 2 * 9)


def test_a_transposed_convolution_counts_each_input_once_for_each_weight(tmp_path):
    # 2 x 4 channels of 5 x 7, 3 outputs for each of 2 groups, 4 x 4 kernel: 280 * 3 * 16, cropped or not.
    row = _one(tmp_path, "ConvTranspose", (4, 3, 4, 4), shape=(2, 4, 5, 7), strides=[2, 2], group=2, pads=[1, 1, 1, 1])
    assert (row.output_shape, row.macs) == ((2, 6, 10, 14), 13_440)


def test_matrix_products(tmp_path):
    path = tmp_path / "m.onnx"
    nodes = [
        node("GlobalAveragePool", ["x"], "p", "pool"),
        node("Flatten", ["p"], "f", "flatten"),
        node("Gemm", ["f", "a"], "g", "gemm", transB=1),
        node("MatMul", ["g", "b"], "h", "matmul"),
        node("Gemm", ["h", "c"], "y", "transposed", transA=1),
    ]
    arrays = constants(a=weights(5, 7), b=weights(5, 11), c=weights(3, 2))
    found = audit(write(path, (nodes, {}), arrays, shape=(3, 7, 9, 4)))
    # (3 x 7)(7 x 5), (3 x 5)(5 x 11), (11 x 3)(3 x 2).
    assert [(row.output_shape, row.macs) for row in found.rows] == [((3, 5), 105), ((3, 11), 165), ((11, 2), 66)]
    assert found.macs == 336


def test_a_crop_computed_from_the_input_size_is_followed(tmp_path):
    # The image loses half its height and width by a Slice whose ends are computed with Shape, Gather and Div.
    nodes = [
        node("Shape", ["x"], "s", "shape"),
        node("Gather", ["s", "hw"], "g", "gather"),
        node("Div", ["g", "two"], "e", "half"),
        node("Slice", ["x", "zeros", "e", "hw"], "xd", "crop"),
    ]
    arrays = constants(hw=np.array([2, 3]), two=np.array([2]), zeros=np.array([0, 0]), wd=weights(4, 3, 3, 3))
    path = write(tmp_path / "m.onnx", (nodes, {}), arrays, conv(), shape=("N", 3, "H", "W"))
    row = _row(path, batch=2, height=33, width=47)
    assert (row.output_shape, row.macs) == ((2, 4, 16, 23), 2 * 4 * 16 * 23 * 27)


@pytest.mark.parametrize(
    ("name", "input_kind"),
    [
        ("fcn8s", "uint8"),
        pytest.param("fcn8s-caffe", "uint8", marks=pytest.mark.long),
        pytest.param("fcn8s", "float", marks=pytest.mark.long),
        pytest.param("fcn-resnet50", "uint8", marks=pytest.mark.long),
        pytest.param("deeplabv3-resnet50", "uint8", marks=pytest.mark.long),
    ],
)
def test_every_size_in_an_exported_network_is_known_and_right(name, input_kind, tmp_path):
    model, card = tiny_model(name)
    path = tmp_path / "m.onnx"
    export_model(model, card, path, input_kind=input_kind, shapes=[(2, 33, 47)], outputs=("logits",))
    found = audit(path, batch=2, height=33, width=47)
    assert not found.unknown
    assert found.macs == sum(row.macs for row in found.rows) == sum(found.totals.values())
    assert {row.name: row.output_shape for row in found.rows} == _shapes_when_run(path, input_kind)


def _shapes_when_run(path, input_kind):
    """Shapes of the same outputs as ONNX Runtime computes them."""
    import onnxruntime as ort

    model = onnx.load(path)
    names = {one.output[0]: one.name for one in model.graph.node if one.op_type in ("Conv", "ConvTranspose", "Gemm")}
    listed = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in listed)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.zeros((2, 33, 47, 3), np.uint8) if input_kind == "uint8" else np.zeros((2, 3, 33, 47), np.float32)
    results = session.run(list(names), {"image": image})
    return {name: result.shape for name, result in zip(names.values(), results, strict=True)}


def test_vgg_16_with_fc6_and_fc7_at_camvid_s_size_takes_74_5_billion(tmp_path):
    """Nearly all of FCN-8s; its scores and upsampling for 21 classes make it 74.8."""
    layers = [(3, 64, 3), (64, 64, 3), "pool", (64, 128, 3), (128, 128, 3), "pool"]
    layers += [(128, 256, 3), (256, 256, 3), (256, 256, 3), "pool", (256, 512, 3), (512, 512, 3), (512, 512, 3), "pool"]
    layers += [(512, 512, 3), (512, 512, 3), (512, 512, 3), "pool", (512, 4096, 7), (4096, 4096, 1)]
    nodes, shapes = [], {}
    for index, layer in enumerate(layers):
        ends = f"v{index - 1}" if index else "x", "y" if index == len(layers) - 1 else f"v{index}"
        if layer == "pool":
            pool = {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}
            nodes.append(node("MaxPool", ends[:1], ends[1], f"pool{index}", **pool))
            continue
        inputs, outputs, side = layer
        shapes[f"s{index}"] = np.array([outputs, inputs, side, side])
        nodes.append(node("ConstantOfShape", [f"s{index}"], f"w{index}", f"weights{index}"))
        nodes.append(node("Conv", [ends[0], f"w{index}"], ends[1], f"conv{index}", auto_pad="SAME_UPPER"))
    found = audit(write(tmp_path / "m.onnx", (nodes, {}), constants(**shapes), shape=("N", 3, "H", "W")))
    # Positions: 360 x 480, 180 x 240, 90 x 120, 45 x 60, 23 x 30, and 12 x 15 for fc6 and fc7.
    stages = 172_800 * (3 * 64 + 64 * 64) + 43_200 * (64 * 128 + 128 * 128) + 10_800 * (128 * 256 + 2 * 256 * 256)
    stages += 2_700 * (256 * 512 + 2 * 512 * 512) + 690 * 3 * 512 * 512
    assert found.macs == 9 * stages + 180 * 4096 * (512 * 49 + 4096) == 74_474_864_640
    assert str(found.size) == "360x480"


@pytest.mark.parametrize(
    ("parts", "precision", "reason"),
    [
        ((quantised_data(), quantised_weights(8, 8, 3, 3), conv()), "INT8", ""),
        ((quantised_data(), quantised_weights(8, 8, 3, 3, per_tensor=True), conv()), "INT8", ""),
        ((quantised_data(), constants(wd=weights(8, 8, 3, 3)), conv()), "FP32", "weights are not quantised"),
        ((quantised_weights(8, 8, 3, 3), conv("x")), "FP32", "input is not quantised"),
        ((quantised_data(scale=[0.1] * 8), quantised_weights(8, 8, 3, 3), conv()), "FP32", "a scale for each channel"),
        ((quantised_data(), quantised_weights(8, 8, 3, 3, axis=1), conv()), "FP32", "along axis 1"),
        ((quantised_data(), quantised_weights(8, 8, 3, 3, dtype=np.int32), conv()), "FP32", "weights to INT32"),
    ],
    ids=["both", "one scale", "input alone", "weights alone", "scale a channel", "wrong axis", "wide weights"],
)
def test_a_convolution_is_int8_only_if_both_operands_are(parts, precision, reason, tmp_path):
    row = _row(write(tmp_path / "m.onnx", *parts))
    assert row.precision == precision
    assert reason in row.reason
    assert bool(row.reason) == bool(reason)


@pytest.mark.parametrize("op_type", ["Cast", "Transpose", "MaxPool", "Relu"])
def test_a_dequantisation_moves_past_what_only_moves_numbers(op_type, tmp_path):
    attributes = {"Cast": {"to": TensorProto.FLOAT}, "MaxPool": {"kernel_shape": [2, 2]}}
    between = [node(op_type, ["xd"], "moved", "between", **attributes.get(op_type, {}))]
    path = write(tmp_path / "m.onnx", quantised_data(), (between, {}), quantised_weights(8, 8, 3, 3), conv("moved"))
    assert _row(path).precision == ("FP32" if op_type == "Relu" else "INT8")


def test_a_quantised_deconvolution_counts_as_float(tmp_path):
    up = [node("ConvTranspose", ["xd", "wd"], strides=[2, 2])], {}
    row = _row(write(tmp_path / "m.onnx", quantised_data(), quantised_weights(8, 8, 4, 4, axis=1), up))
    assert row.precision == "FP32"
    assert "no integer ConvTranspose" in row.reason


@pytest.mark.parametrize(("dtype", "name"), [("float16", "FP16"), ("bfloat16", "BF16"), ("float32", "FP32")])
def test_without_quantisation_the_type_of_the_data_counts_and_needs_no_reason(dtype, name, tmp_path):
    row = _row(deconvolution(tmp_path / "m.onnx", dtype, opset=22 if dtype == "bfloat16" else 17))
    assert (row.precision, row.reason) == (name, "")


def test_operators_on_integers_are_int8(tmp_path):
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], "q", "xQ"),
        node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z"], "r", "conv"),
        node("DequantizeLinear", ["r", "s", "z"], "y", "yDQ"),
    ]
    scale, zero = np.array(0.1, np.float32), np.array(0, np.int8)
    arrays = constants(s=scale, z=zero, w=np.ones((5, 8, 3, 3), np.int8))
    row = _row(write(tmp_path / "m.onnx", (nodes, {}), arrays, shape=(1, 8, 9, 7)))
    assert (row.precision, row.output_shape, row.macs) == ("INT8", (1, 5, 7, 5), 5 * 35 * 72)


def test_a_node_kept_on_purpose_says_why_in_the_words_of_who_kept_it(tmp_path):
    path = write(tmp_path / "m.onnx", quantised_data(), constants(wd=weights(8, 8, 3, 3)), conv())
    model = ir.load(path)
    next(one for one in model.graph if one.op_type == "Conv").metadata_props[KEEP_KEY] = "score layer"
    ir.save(model, path)
    assert _row(path).reason == "score layer"


def test_a_size_fixed_in_the_file_is_taken_and_another_refused(tmp_path):
    path = int8_conv(tmp_path / "m.onnx")
    assert str(audit(path).size) == "16x16"
    with pytest.raises(GraphError, match="H fixed at 16; 32 was asked for"):
        audit(path, height=32, width=16)


def test_a_file_without_an_image_input_is_refused(tmp_path):
    path = write(tmp_path / "m.onnx", constants(w=weights(4, 3)), ([node("MatMul", ["x", "w"])], {}), shape=("N", 4))
    with pytest.raises(GraphError, match="no input of four dims"):
        audit(path)
