"""Ways to make an ONNX graph wrong or odd: shapes, types, operators, circles, lengths."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.hostile.kind import Make
from tests.hostile.onnx_network import changed, initializer, node


def with_dims(*dims: int) -> Make:
    def change(model: onnx.ModelProto) -> None:
        tensor = initializer(model)
        del tensor.dims[:]
        tensor.dims.extend(dims)

    return changed(change)


def with_data(**fields: Any) -> Make:
    def change(model: onnx.ModelProto) -> None:
        tensor = initializer(model)
        tensor.ClearField("raw_data")
        for name, value in fields.items():
            if isinstance(value, list):
                getattr(tensor, name).extend(value)
            else:
                setattr(tensor, name, value)

    return changed(change)


def cycle(model: onnx.ModelProto) -> None:
    node(model, "Sub").input[1] = "convolved"


def self_loop(model: onnx.ModelProto) -> None:
    node(model, "Conv").input[0] = "convolved"


def put_weight(model: onnx.ModelProto, number: float) -> None:
    tensor = initializer(model)
    numbers = numpy_helper.to_array(tensor).copy()
    numbers[1, 0, 2, 1] = number
    tensor.raw_data = numbers.tobytes()


def no_outputs(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


def no_inputs(model: onnx.ModelProto) -> None:
    del model.graph.input[:]


def no_nodes(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


def output_of_nothing(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "elsewhere"


def reads_nothing(model: onnx.ModelProto) -> None:
    node(model, "Conv").input[0] = "elsewhere"


def two_makers(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["normalised"], ["convolved"]))


def two_weights(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(initializer(model))


def domain(model: onnx.ModelProto) -> None:
    conv = node(model, "Conv")
    conv.domain, conv.op_type = "com.example", "Magic"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def unknown_operator(model: onnx.ModelProto) -> None:
    node(model, "Conv").op_type = "Convolute"


def no_inputs_of_conv(model: onnx.ModelProto) -> None:
    del node(model, "Conv").input[:]


def no_outputs_of_conv(model: onnx.ModelProto) -> None:
    del node(model, "Conv").output[:]


def wrong_attribute(model: onnx.ModelProto) -> None:
    conv = node(model, "Conv")
    del conv.attribute[:]
    conv.attribute.append(helper.make_attribute("pads", "one"))


def negative_pads(model: onnx.ModelProto) -> None:
    conv = node(model, "Conv")
    del conv.attribute[:]
    conv.attribute.append(helper.make_attribute("pads", [2**62] * 4))


def zero_strides(model: onnx.ModelProto) -> None:
    node(model, "Conv").attribute.append(helper.make_attribute("strides", [0, 0]))


def with_field(path: str, value: Any) -> Make:
    def change(model: onnx.ModelProto) -> None:
        setattr(model, path, value)

    return changed(change)


def with_opset(version: int) -> Make:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = version

    return changed(change)


def no_opset(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def two_opsets(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("", 11))


def image_dims(*dims: int | str) -> Make:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.UINT8, dims))

    return changed(change)


def image_type(kind: int) -> Make:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = kind

    return changed(change)


def no_rank(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def no_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].ClearField("type")


def chain(length: int) -> Make:
    """Return a case: `length` nodes one behind the other."""

    def change(model: onnx.ModelProto) -> None:
        at = next(index for index, each in enumerate(model.graph.node) if each.op_type == "Mul")
        names = ["convolved", *(f"link{index}" for index in range(length))]
        made = [helper.make_node("Neg", [a], [b], name=b) for a, b in itertools.pairwise(names)]
        rest = list(model.graph.node[at:])
        del model.graph.node[at:]
        rest[0].input[0] = names[-1]
        model.graph.node.extend([*made, *rest])

    @cache
    def data(path: Path) -> bytes:
        return changed(change)(path).read_bytes()

    def make(folder: Path) -> Path:
        (folder / "m.onnx").write_bytes(data(folder))
        return folder / "m.onnx"

    return make


def deep(model: onnx.ModelProto, depth: int = 200) -> None:
    """Nest a graph in a graph in a graph, as branches of If."""
    inner = helper.make_graph(
        [helper.make_node("Identity", ["normalised"], ["deep0"])],
        "g",
        [],
        [helper.make_tensor_value_info("deep0", TensorProto.FLOAT, None)],
    )
    for level in range(1, depth):
        made = helper.make_node("If", ["yes"], [f"deep{level}"], then_branch=inner, else_branch=inner)
        name = f"deep{level}"
        inner = helper.make_graph([made], "g", [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
        if level > 12:  # both branches double the size
            made = helper.make_node("Identity", ["normalised"], [name])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.insert(5, helper.make_node("If", ["yes"], ["unused"], then_branch=inner, else_branch=inner))


def raw(data: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / "m.onnx").write_bytes(data)
        return folder / "m.onnx"

    return make


def cut_to(share: float) -> Make:
    def make(folder: Path) -> Path:
        path = changed(lambda model: None)(folder)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return make
