"""Networks whose weights are numbers and whose scores are none, on every image: an arg max makes labels of them too."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.hostile.commands import ON_ONNX, SLOW
from tests.hostile.kind import Make, files_kind
from tests.hostile.onnx_network import changed, initializer


def _put(model: onnx.ModelProto, number: float) -> None:
    tensor = initializer(model)
    weights = np.full(tuple(tensor.dims), number, np.float32)
    weights[0] *= -1  # one class of -inf, so that NaN comes of the difference
    tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))


def overflow(model: onnx.ModelProto) -> None:
    """Let the convolution's sums exceed the largest float, and subtract infinities from each other."""
    _put(model, 3e38)
    _behind(model, helper.make_node("Sub", ["convolved", "convolved"], ["nothing"], name="difference"))


def half(model: onnx.ModelProto) -> None:
    """Let an FP16 value exceed 65504, as in a file that was rewritten without images."""
    _put(model, 1e4)
    _behind(
        model,
        helper.make_node("Cast", ["convolved"], ["halved"], name="to_half", to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["halved"], ["wide_again"], name="to_float", to=TensorProto.FLOAT),
        helper.make_node("Sub", ["wide_again", "wide_again"], ["nothing"], name="difference"),
    )


def zero_division(model: onnx.ModelProto) -> None:
    """Divide by the variance of an image that has none: 0 / 0."""
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "zero"))
    _behind(
        model,
        helper.make_node("Mul", ["convolved", "zero"], ["zeros"], name="zeros"),
        helper.make_node("Div", ["zeros", "zeros"], ["nothing"], name="quotient"),
    )


def _behind(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> None:
    """Put nodes between the convolution and what reads it."""
    at = next(index for index, each in enumerate(model.graph.node) if each.name == "conv")
    reader = model.graph.node[at + 1]
    reader.input[list(reader.input).index("convolved")] = nodes[-1].output[0]
    for offset, each in enumerate(nodes):
        model.graph.node.insert(at + 1 + offset, each)


NO_NUMBERS: dict[str, Make] = {each.__name__: changed(each) for each in (overflow, half, zero_division)}
# What describes, packages or compiles a file runs it on no image, and a row of a benchmark fails in its table.
TAKING = ("inspect", "audit", "fp16", "package", "build-engine", "bench")
TAKEN = {"half": (*TAKING, "predict-openvino")}  # OpenVINO computes it in FP32
KINDS = [
    files_kind(
        "numbers that are none", NO_NUMBERS, ON_ONNX, default=12, takes=lambda case: TAKEN.get(case, TAKING), slow=SLOW
    )
]
