"""How fast this machine multiplies matrices, in each type: the floor under any network's time.

float32[4096, 2304] x [2304, 512] is the product inside a 3 x 3 convolution of 256 to 512 channels at 64 x 64.
Each library here is asked, and the fastest counts, so that the limit is the machine's and not a library's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcn_deploy.optional import require

ROWS, DEPTH, COLUMNS = 4096, 2304, 512
MULTIPLY_ADDS = ROWS * DEPTH * COLUMNS
Product = Callable[[], object]


def products(threads: int) -> dict[tuple[str, str], Product]:
    """(type, library) -> what multiplies once; the operands are ready made."""
    generator = np.random.default_rng(0)
    floats = generator.normal(size=(ROWS, DEPTH)).astype(np.float32)
    codes = generator.integers(0, 255, (1, DEPTH, 64, ROWS // 64)).astype(np.uint8)
    matrix, convolution = float_graph(generator), int8_graph(generator)
    found: dict[tuple[str, str], Product] = {
        ("FP32", "onnxruntime"): _in_onnxruntime(matrix, floats, threads),
        ("FP32", "openvino"): _in_openvino(matrix, floats, threads, "f32"),
        ("BF16", "openvino"): _in_openvino(matrix, floats, threads, "bf16"),
        ("INT8", "onnxruntime"): _in_onnxruntime(convolution, codes, threads),
        ("INT8", "openvino"): _in_openvino(convolution, codes, threads, "f32"),
    }
    for name, kind in (("FP32", torch.float32), ("BF16", torch.bfloat16)):
        left, right = torch.from_numpy(floats).to(kind), torch.randn(DEPTH, COLUMNS).to(kind)
        found[name, "torch"] = _in_torch(left, right)
    return found


def speed(kind: str, samples: Mapping[tuple[str, str], Sequence[float]]) -> float:
    """Multiply-adds in a millisecond: the best library's median."""
    return max(MULTIPLY_ADDS / median(values) for (name, _), values in samples.items() if name == kind)


def _in_torch(left: torch.Tensor, right: torch.Tensor) -> Product:
    return lambda: left @ right


def _in_onnxruntime(graph: bytes, left: NDArray[np.generic], threads: int) -> Product:
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"left": left})


def _in_openvino(graph: bytes, left: NDArray[np.generic], threads: int, kind: str) -> Product:
    """On a CPU without `kind` it computes in another: then the type has no limit of its own, and no row either."""
    openvino = require("openvino")
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": kind, "INFERENCE_NUM_THREADS": threads}
    request = core.compile_model(core.read_model(model=graph), "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(left, shared_memory=True))

    def product() -> object:
        assert left.size  # the request knows an address alone: this keeps the array
        return request.infer(share_outputs=True)

    return product


def float_graph(generator: np.random.Generator) -> bytes:
    """A MatMul as ONNX."""
    from onnx import TensorProto, helper, numpy_helper

    right = numpy_helper.from_array(generator.normal(size=(DEPTH, COLUMNS)).astype(np.float32), "right")
    left = helper.make_tensor_value_info("left", TensorProto.FLOAT, [ROWS, DEPTH])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [ROWS, COLUMNS])
    return _model([helper.make_node("MatMul", ["left", "right"], ["result"])], [left], [result], [right])


def int8_graph(generator: np.random.Generator) -> bytes:
    """A 1 x 1 convolution of 8 bits between pairs, the form for which both libraries have their INT8 kernels."""
    from onnx import TensorProto, helper, numpy_helper

    constants: dict[str, NDArray[np.generic]] = {
        "right": generator.integers(-127, 127, (COLUMNS, DEPTH, 1, 1)).astype(np.int8),
        "scale": np.array(0.01, np.float32),
        "zero": np.array(0, np.uint8),
        "scales": np.full(COLUMNS, 0.01, np.float32),
        "zeros": np.zeros(COLUMNS, np.int8),
        "out_scale": np.array(0.3, np.float32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["left", "scale", "zero"], ["left_float"]),
        helper.make_node("DequantizeLinear", ["right", "scales", "zeros"], ["right_float"], axis=0),
        helper.make_node("Conv", ["left_float", "right_float"], ["float"]),
        helper.make_node("QuantizeLinear", ["float", "out_scale", "zero"], ["result"]),
    ]
    left = helper.make_tensor_value_info("left", TensorProto.UINT8, [1, DEPTH, 64, ROWS // 64])
    result = helper.make_tensor_value_info("result", TensorProto.UINT8, [1, COLUMNS, 64, ROWS // 64])
    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    return _model(nodes, [left], [result], stored)


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> bytes:
    from onnx import helper

    graph = helper.make_graph(nodes, "product", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialised: bytes = model.SerializeToString()
    return serialised
