"""ONNX graphs that are wrong, and odd ones that some commands rightly take."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from tests.hostile import calls
from tests.hostile import graph_changes as graphs
from tests.hostile.commands import ON_ONNX, SLOW
from tests.hostile.kind import Make, files_kind
from tests.hostile.onnx_network import changed

GRAPHS: dict[str, Make] = {
    "empty": graphs.raw(b""),
    "text": graphs.raw(b"this is not a model\n" * 40),
    "zeros": graphs.raw(bytes(1000)),
    "ones": graphs.raw(b"\xff" * 1000),
    "cut-half": graphs.cut_to(0.5),
    "cut-end": graphs.cut_to(0.97),
    "dims-huge": graphs.with_dims(2**40, 2**40, 3, 3),
    "dims-overflow": graphs.with_dims(2**62, 4, 3, 3),
    "dims-negative": graphs.with_dims(-3, 3, 3, 3),
    "dims-minus-two": graphs.with_dims(-3, -3, 3, 3),
    "dims-more": graphs.with_dims(4, 3, 3, 3),
    "dims-fewer": graphs.with_dims(2, 3, 3, 3),
    "dims-zero": graphs.with_dims(0, 3, 3, 3),
    "dims-none": graphs.with_dims(),
    "dims-many": graphs.with_dims(*[1] * 100, 3, 3, 3, 3),
    "data-none": graphs.with_data(),
    "data-floats-few": graphs.with_data(float_data=[1.0] * 80),
    "data-ints": graphs.with_data(int32_data=[1] * 81),
    "data-type-unknown": graphs.with_data(data_type=99),
    "data-type-none": graphs.with_data(data_type=0),
    "data-type-string": graphs.with_data(data_type=TensorProto.STRING, string_data=[b"x"] * 81),
    "cycle": changed(graphs.cycle),
    "self-loop": changed(graphs.self_loop),
    "no-outputs": changed(graphs.no_outputs),
    "no-inputs": changed(graphs.no_inputs),
    "no-nodes": changed(graphs.no_nodes),
    "output-of-nothing": changed(graphs.output_of_nothing),
    "reads-nothing": changed(graphs.reads_nothing),
    "two-makers": changed(graphs.two_makers),
    "two-weights": changed(graphs.two_weights),
    "no-operands": changed(graphs.no_inputs_of_conv),
    "no-results": changed(graphs.no_outputs_of_conv),
    "wrong-attribute": changed(graphs.wrong_attribute),
    "zero-strides": changed(graphs.zero_strides),
    "huge-pads": changed(graphs.negative_pads),
    "unknown-operator": changed(graphs.unknown_operator),
    "ir-version-future": graphs.with_field("ir_version", 30),
    "ir-version-far": graphs.with_field("ir_version", 2**40),
    "ir-version-negative": graphs.with_field("ir_version", -1),
    "opset-future": graphs.with_opset(999),
    "opset-zero": graphs.with_opset(0),
    "opset-negative": graphs.with_opset(-5),
    "opset-huge": graphs.with_opset(2**62),
    "no-opset": changed(graphs.no_opset),
    "image-huge": graphs.image_dims(1, 2**31, 2**31, 3),
    "image-zero": graphs.image_dims(1, 0, 47, 3),
    "image-string": graphs.image_type(TensorProto.STRING),
    "image-complex": graphs.image_type(TensorProto.COMPLEX64),
    "image-type-unknown": graphs.image_type(77),
    "no-rank": changed(graphs.no_rank),
    "no-type": changed(graphs.no_type),
    "chain": graphs.chain(100_000),
    "function-of-itself": calls.functions({"A": ["A"]}),
    "functions-in-a-circle": calls.functions({"A": ["B"], "B": ["A"]}),
    "functions-doubling": calls.doubling(40),
    "functions-deep": calls.nested(1000),
    "function-twice": changed(calls.defined_twice),
    "function-of-onnx": calls.functions({"Conv": ["Neg"]}, domain=""),
    "loop-without-turns": calls.loop(None),
    "loop-endless": calls.loop(2**62),
    "resized-by-nan": calls.resized_by(np.nan),
    "resized-by-less-than-0": calls.resized_by(-2),
    "weight-infinite": changed(lambda model: graphs.put_weight(model, np.inf)),
    "weight-nan": changed(lambda model: graphs.put_weight(model, np.nan)),
}
# Files that some commands rightly take.
ODD: dict[str, Make] = {
    "custom-operator": changed(graphs.domain),
    "two-opsets": changed(graphs.two_opsets),
    "image-minus-one": graphs.image_dims(-1, -1, -1, 3),
    "image-minus-seven": graphs.image_dims(1, -7, -7, 3),
    "short-chain": graphs.chain(2_000),
    "functions": calls.functions({"A": ["Neg", "Abs"], "B": ["A", "Neg"]}),
    "loop": calls.loop(3),
    "operators-of-no-known-set": changed(calls.of_no_known_set),
    "many-inputs": changed(calls.many_inputs),
    "deep": changed(lambda model: graphs.deep(model, 10)),
}
# Commands that take a case, because it is none of their business.
TAKEN: dict[str, tuple[str, ...]] = {
    # Exit code 3 of `choose`: no candidate runs.
    "unknown-operator": ("inspect", "choose"),
    "ir-version-future": ("predict-openvino",),
    "opset-future": ("predict-openvino",),
    "huge-pads": ("bench",),  # a row of its table fails
    # What only shows a file shows these too.
    "weight-infinite": ("inspect", "audit"),
    "weight-nan": ("inspect", "audit"),
    "resized-by-nan": ("inspect", "audit"),
    "resized-by-less-than-0": ("inspect", "audit"),
    "no-rank": ("inspect", "choose"),
    "no-type": ("inspect", "choose"),
}
KINDS = [
    files_kind("graphs", GRAPHS, ON_ONNX, default=len(GRAPHS), takes=lambda case: TAKEN.get(case, ()), slow=SLOW),
    files_kind("odd", ODD, ON_ONNX, default=len(ODD), takes=lambda case: ON_ONNX, slow=SLOW),
]
