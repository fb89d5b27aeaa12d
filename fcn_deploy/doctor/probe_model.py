"""Write a network of one layer that keeps the contract: it builds and runs anywhere, and its labels are known."""

from __future__ import annotations

from pathlib import Path

from fcn_deploy.engine.flavors import Flavor
from fcn_deploy.engine.logger import capture_log, create
from fcn_deploy.vocabulary import Profile

# The layer scores red, green and blue as three classes: the label of a pixel is its strongest channel.
IMAGE = [[[[9, 0, 0], [0, 9, 0], [0, 0, 9]], [[0, 0, 9], [9, 0, 0], [0, 9, 0]]]]  # uint8[1, 2, 3, 3]
LABELS = [[[0, 1, 2], [2, 0, 1]]]
OPSET, IR_VERSION = 17, 10  # as `export` writes them


def write_tiny(path: Path, ir_version: int | None = None) -> Path:
    """Write it as ONNX: `image` uint8[N, H, W, 3] -> `labels` uint8[N, H, W]."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weight"], ["logits"], name="score"),
        helper.make_node("ArgMax", ["logits"], ["best"], axis=1, keepdims=0),
        helper.make_node("Cast", ["best"], ["rounded"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["rounded"], ["labels"], to=TensorProto.UINT8),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])
    labels = helper.make_tensor_value_info("labels", TensorProto.UINT8, ["N", "H", "W"])
    weight = numpy_helper.from_array(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "weight")
    graph = helper.make_graph(nodes, "tiny", [image], [labels], [weight])
    opsets = [helper.make_opsetid("", OPSET)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=ir_version or IR_VERSION), path)
    return path


def build_tiny(flavor: Flavor, onnx_file: Path) -> bytes:
    """Build an engine of it, for images of 8x8, in the way of `build-engine`.

    Raises:
        EngineError: in the library's own words.
    """
    # Not at the top: these import onnx, which may be broken.
    from fcn_deploy.engine.builder.compile import CompileJob, compile_plan
    from fcn_deploy.engine.builder.options import BuildOptions

    profile = Profile((1, 8, 8), (1, 8, 8), (1, 8, 8))
    plan = onnx_file.with_suffix(".engine")
    compile_plan(flavor, CompileJob(onnx_file, plan, "image", (0, 1, 2), (profile,), BuildOptions()))
    return plan.read_bytes()


def load_error(flavor: Flavor, plan: bytes) -> str:
    """Return why the library does not load the plan on the GPU at hand; "" if it does."""
    trt = flavor.module
    with capture_log(trt) as log:
        runtime = create(trt, trt.Runtime)
        engine = None if runtime is None else runtime.deserialize_cuda_engine(plan)
        ready = engine is not None and engine.create_execution_context() is not None
    # With a driver at hand its being too old is no noise but the reason, which `reason` leaves out.
    said = [" ".join(text.split()) for severity, text in log.messages if severity.endswith("ERROR")]
    return "" if ready else log.reason(next(iter(said), "the library gives no reason"))
