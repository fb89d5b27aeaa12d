"""How fast this machine multiplies matrices, in each type: the floor under any network's time.

[4096, 1024] x [1024, 1024] four times, one after the other, so that a library's preparation of its first operand hardly
counts. Each library here is timed and the fastest is taken, so that the limit is the machine's and not a library's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcn_deploy.runners.openvino import open_core
from fcn_deploy.system.optional import require

ROWS, DEPTH, COUNT = 4096, 1024, 4
GPU_SIDE, GPU_COUNT = 8192, 4  # a GPU is done with [4096, 1024] before the next product is launched
Call = Callable[[], object]


@dataclass(frozen=True)
class Product:
    """What multiplies matrices when called, and how many multiply-adds that takes."""

    call: Call
    multiply_adds: int


def products(threads: int) -> dict[tuple[str, str], Product]:
    """Return a function for each (type, library) that multiplies prepared operands once."""
    multiply_adds = COUNT * ROWS * DEPTH**2
    return {key: Product(call, multiply_adds) for key, call in _cpu_calls(threads).items()}


def gpu_products(device: str = "cuda") -> dict[tuple[str, str], Product]:
    """Return the same on a GPU, of square matrices, by PyTorch; each call ends when the GPU is done."""
    multiply_adds = GPU_COUNT * GPU_SIDE**3
    found = {}
    for name, dtype, tf32 in (
        ("FP32", torch.float32, False),
        ("TF32", torch.float32, True),
        ("FP16", torch.half, True),
    ):
        left, right = (torch.randn(GPU_SIDE, GPU_SIDE, device=device, dtype=dtype) for _ in range(2))
        call = _on_gpu(left, right / GPU_SIDE**0.5, tf32)
        found[name, "torch"] = Product(call, multiply_adds)
    return found


def _on_gpu(left: torch.Tensor, right: torch.Tensor, tf32: bool) -> Call:
    multiply = _in_torch(left, right, GPU_COUNT)

    def product() -> object:
        allowed, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, tf32
        result = multiply()
        torch.backends.cuda.matmul.allow_tf32 = allowed
        if left.is_cuda:
            torch.cuda.synchronize()
        return result

    return product


def _cpu_calls(threads: int) -> dict[tuple[str, str], Call]:
    generator = np.random.default_rng(0)
    floats = generator.normal(size=(ROWS, DEPTH)).astype(np.float32)
    codes = generator.integers(0, 255, (1, DEPTH, 64, ROWS // 64)).astype(np.uint8)
    matrix, convolution = float_graph(generator), int8_graph(generator)
    found: dict[tuple[str, str], Call] = {
        ("FP32", "onnxruntime"): _in_onnxruntime(matrix, floats, threads),
        ("FP32", "openvino"): _in_openvino(matrix, floats, threads, "f32"),
        ("BF16", "openvino"): _in_openvino(matrix, floats, threads, "bf16"),
        ("INT8", "onnxruntime"): _in_onnxruntime(convolution, codes, threads),
        ("INT8", "openvino"): _in_openvino(convolution, codes, threads, "f32"),
    }
    for name, kind in (("FP32", torch.float32), ("BF16", torch.bfloat16)):
        left, right = torch.from_numpy(floats).to(kind), (torch.randn(DEPTH, DEPTH) / DEPTH**0.5).to(kind)
        found[name, "torch"] = _in_torch(left, right, COUNT)
    return found


def speed(
    kind: str, products: Mapping[tuple[str, str], Product], samples: Mapping[tuple[str, str], Sequence[float]]
) -> float:
    """Return the multiply-adds per millisecond of the best library's median."""
    return max(products[key].multiply_adds / median(values) for key, values in samples.items() if key[0] == kind)


def _in_torch(left: torch.Tensor, right: torch.Tensor, count: int) -> Call:
    def product() -> object:
        result = left
        for _ in range(count):
            result = result @ right
        return result

    return product


def _in_onnxruntime(graph: bytes, left: NDArray[np.generic], threads: int) -> Call:
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"left": left})


def _in_openvino(graph: bytes, left: NDArray[np.generic], threads: int, kind: str) -> Call:
    """On a CPU without `kind` it computes in another: then the type has no limit of its own, and no row either."""
    openvino = require("openvino")
    core = open_core()
    options = {"INFERENCE_PRECISION_HINT": kind, "INFERENCE_NUM_THREADS": threads}
    request = core.compile_model(core.read_model(model=graph), "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(left, shared_memory=True))

    def product() -> object:
        assert left.size  # the request knows an address alone: this keeps the array
        return request.infer(share_outputs=True)

    return product


def float_graph(generator: np.random.Generator) -> bytes:
    """MatMul after MatMul as ONNX."""
    from onnx import TensorProto, helper, numpy_helper

    right = (generator.normal(size=(DEPTH, DEPTH)) / DEPTH**0.5).astype(np.float32)
    names = _names()
    nodes = [helper.make_node("MatMul", [names[at], "right"], [names[at + 1]]) for at in range(COUNT)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [ROWS, DEPTH]) for name in (names[0], names[-1])]
    return _model(nodes, ends[:1], ends[1:], [numpy_helper.from_array(right, "right")])


def int8_graph(generator: np.random.Generator) -> bytes:
    """Build 1 x 1 convolutions of 8 bits between pairs, the form for which both libraries have their INT8 kernels."""
    from onnx import TensorProto, helper, numpy_helper

    constants: dict[str, NDArray[np.generic]] = {
        "right": generator.integers(-127, 127, (DEPTH, DEPTH, 1, 1)).astype(np.int8),
        "scale": np.array(0.01, np.float32),
        "zero": np.array(0, np.uint8),
        "scales": np.full(DEPTH, 0.01, np.float32),
        "zeros": np.zeros(DEPTH, np.int8),
    }
    names, nodes = _names(), []
    for at in range(COUNT):
        nodes += [
            helper.make_node("DequantizeLinear", [names[at], "scale", "zero"], [f"left{at}"]),
            helper.make_node("DequantizeLinear", ["right", "scales", "zeros"], [f"right{at}"], axis=0),
            helper.make_node("Conv", [f"left{at}", f"right{at}"], [f"float{at}"]),
            helper.make_node("QuantizeLinear", [f"float{at}", "scale", "zero"], [names[at + 1]]),
        ]
    shape = [1, DEPTH, 64, ROWS // 64]
    ends = [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name in (names[0], names[-1])]
    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    return _model(nodes, ends[:1], ends[1:], stored)


def _names() -> list[str]:
    """Of the tensors between the products, from the first operand to the result."""
    return ["left", *(f"product{at}" for at in range(1, COUNT)), "result"]


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> bytes:
    from onnx import helper

    graph = helper.make_graph(nodes, "product", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialised: bytes = model.SerializeToString()
    return serialised
