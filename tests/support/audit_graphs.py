"""Small graphs of one operator, sound and faulty, with the operands quantised or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

Nodes = list[NodeProto]
Arrays = dict[str, NDArray[np.generic]]
Part = tuple[Nodes, Arrays]
TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "uint8": TensorProto.UINT8,
}
NUMPY = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def weights(*shape: int, dtype: str = "float32") -> NDArray[np.generic]:
    """Small numbers, none of them zero on the whole."""
    numbers = np.random.default_rng(0).uniform(-0.1, 0.1, shape)
    return numbers.astype(NUMPY[dtype])


def node(op_type: str, inputs: Sequence[str], output: str = "y", name: str = "conv", **attributes: object) -> NodeProto:
    return helper.make_node(op_type, list(inputs), [output], name=name, **attributes)


def quantised_data(zero_point: NDArray[np.generic] | None = None, scale: object = 0.02) -> Part:
    """x -> QuantizeLinear -> DequantizeLinear -> xd."""
    nodes = [
        node("QuantizeLinear", ["x", "xs", "xz"], "xq", "xQ", axis=1),
        node("DequantizeLinear", ["xq", "xs", "xz"], "xd", "xDQ", axis=1),
    ]
    scales = np.asarray(scale, np.float32)
    return nodes, {"xs": scales, "xz": np.zeros(scales.shape, np.int8) if zero_point is None else zero_point}


def quantised_weights(
    *shape: int, axis: int = 0, per_tensor: bool = False, zero_point: int = 0, dtype: type[np.integer] = np.int8
) -> Part:
    """int8[shape] -> DequantizeLinear -> wd, with a scale for each index of `axis`."""
    integers = np.random.default_rng(1).integers(1, 90, shape).astype(dtype)
    scales = np.float32(0.01) if per_tensor else np.full(shape[axis], 0.01, np.float32)
    zeros = np.full(np.shape(scales), zero_point, dtype)
    nodes = [node("DequantizeLinear", ["wi", "ws", "wz"], "wd", "wDQ", axis=axis)]
    return nodes, {"wi": integers, "ws": np.asarray(scales), "wz": zeros}


def write(
    path: Path,
    *parts: Part,
    shape: Sequence[int | str] = (1, 8, 16, 16),
    dtype: str = "float32",
    out: str = "float32",
    opset: int = 17,
) -> Path:
    """Save the parts, in order, as one graph from `x` to `y`."""
    nodes = [one for part in parts for one in part[0]]
    arrays = {name: array for part in parts for name, array in part[1].items()}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TYPES[dtype], list(shape))],
        [helper.make_tensor_value_info("y", TYPES[out], None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def conv(data: str = "xd", weight: str = "wd", *, bias: str | None = None, **attributes: object) -> Part:
    """A 3x3 convolution with padding 1."""
    inputs = [data, weight] if bias is None else [data, weight, bias]
    return [node("Conv", inputs, pads=[1, 1, 1, 1], **attributes)], {}


def constants(**arrays: NDArray[np.generic]) -> Part:
    return [], arrays


def int8_conv(path: Path) -> Path:
    """As TensorRT wants it."""
    return write(path, quantised_data(), quantised_weights(8, 8, 3, 3), conv())


def _cast_after_transpose(path: Path) -> Path:
    nodes = [node("Transpose", ["x"], "t", "transpose", perm=[0, 3, 1, 2]), node("Cast", ["t"], "xd", "cast", to=1)]
    arrays = constants(wd=weights(4, 3, 3, 3))
    return write(path, (nodes, {}), arrays, conv(), shape=("N", "H", "W", 3), dtype="uint8")


def _mixed(path: Path) -> Path:
    cast = [node("Cast", ["x"], "xh", "cast", to=TensorProto.FLOAT16)]
    return write(path, (cast, {}), constants(w=weights(8, 8, 3, 3)), conv("xh", "w"), out="float16")


def _integer_bias(path: Path) -> Path:
    bias = [node("DequantizeLinear", ["bi", "bs"], "bd", "bDQ")]
    arrays: Arrays = {"bi": np.arange(8, dtype=np.int32), "bs": np.array(0.001, np.float32)}
    return write(path, quantised_data(), quantised_weights(8, 8, 3, 3), (bias, arrays), conv(bias="bd"))


def _conv_integer(path: Path) -> Path:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], "q", "xQ"),
        node("ConvInteger", ["q", "w"], "r", "conv"),
        node("Cast", ["r"], "y", "cast", to=1),
    ]
    arrays: Arrays = {"s": np.array(0.1, np.float32), "z": np.array(0, np.int8), "w": np.ones((8, 8, 3, 3), np.int8)}
    return write(path, (nodes, arrays))


def deconvolution(path: Path, dtype: str = "float32", opset: int = 17) -> Path:
    up = [node("ConvTranspose", ["x", "w"], strides=[2, 2])]
    return write(path, (up, {"w": weights(8, 8, 4, 4, dtype=dtype)}), dtype=dtype, out=dtype, opset=opset)


def _labels_from_int64(path: Path) -> Path:
    nodes = [
        node("ArgMax", ["c"], "m", "argmax", axis=1, keepdims=0),
        node("Cast", ["m"], "y", "cast", to=TensorProto.UINT8),
    ]
    score = [node("Conv", ["x", "w"], "c")]
    return write(path, (score, {"w": weights(3, 8, 1, 1)}), (nodes, {}), out="uint8")


def _quantised_before_relu(path: Path) -> Path:
    nodes = [
        node("Conv", ["xd", "wd"], "c", pads=[1, 1, 1, 1]),
        node("QuantizeLinear", ["c", "xs", "xz"], "cq", "cQ"),
        node("DequantizeLinear", ["cq", "xs", "xz"], "cd", "cDQ"),
        node("Relu", ["cd"], "y", "relu"),
    ]
    return write(path, quantised_data(), quantised_weights(8, 8, 3, 3), (nodes, {}))


def _float16_grouped(path: Path) -> Path:
    arrays = constants(w=weights(8, 2, 3, 3, dtype="float16"))
    return write(path, arrays, conv("x", "w", group=4), dtype="float16", out="float16")


def _float16_scales(path: Path) -> Path:
    data, weight = quantised_data(), quantised_weights(8, 8, 3, 3)
    halves: Arrays = {"xs": np.array(0.02, np.float16), "ws": np.full(8, 0.01, np.float16)}
    return write(path, data, weight, constants(**halves), conv(), dtype="float16", out="float16", opset=19)


def _conditional(path: Path) -> Path:
    """A convolution, then a branch whose own graph is beyond the audit."""
    branches = {}
    for word in ("then", "else"):
        out = helper.make_tensor_value_info(f"{word}_y", TensorProto.FLOAT, None)
        nodes = [node("Abs" if word == "then" else "Neg", ["c"], f"{word}_y", word)]
        branches[f"{word}_branch"] = helper.make_graph(nodes, word, [], [out])
    nodes = [node("Conv", ["x", "w"], "c"), node("If", ["yes"], "y", "branch", **branches)]
    return write(path, (nodes, {"w": weights(4, 8, 3, 3), "yes": np.array(True)}))


def _with(data: Part, weight: Part) -> object:
    return lambda path: write(path, data, weight, conv())


# rule -> (what writes a graph that breaks it, the node or tensor that the finding must name).
WEIGHTS = quantised_weights(8, 8, 3, 3)
ERRORS = {
    "uint8-read": (_cast_after_transpose, "transpose"),
    "uint8-quantised": (_with(quantised_data(np.array(0, np.uint8)), WEIGHTS), "xQ"),
    "zero-point": (_with(quantised_data(np.array(3, np.int8)), WEIGHTS), "xQ"),
    "scale": (_with(quantised_data(scale=0.0), WEIGHTS), "xQ"),
    "int32-bias": (_integer_bias, "bDQ"),
    "mixed-types": (_mixed, "conv"),
    "integer-operator": (_conv_integer, "conv"),
    "bf16-deconvolution": (lambda path: deconvolution(path, "bfloat16", 22), "conv"),
    "weights": (lambda path: write(path, constants(w=np.full((8, 8, 3, 3), np.nan, np.float32)), conv("x", "w")), "w"),
}
WARNINGS = {
    "quantised-deconvolution": (
        lambda path: write(
            path,
            quantised_data(),
            quantised_weights(8, 8, 4, 4, axis=1),
            ([node("ConvTranspose", ["xd", "wd"], strides=[2, 2])], {}),
        ),
        "conv",
    ),
    "fp16-grouped-conv": (_float16_grouped, "conv"),
    "int64-to-uint8": (_labels_from_int64, "cast"),
    "quantised-before-relu": (_quantised_before_relu, "cQ"),
    "fp16-scale": (_float16_scales, "xQ"),
    "subgraph": (_conditional, "branch"),
    "static-shape": (int8_conv, "x"),
}
# Passed by the parser: the first is read as INT8, the second fails in the builder, the third gives NaN.
PARSER_ACCEPTS = ("uint8-quantised", "bf16-deconvolution", "weights")
