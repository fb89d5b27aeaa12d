"""Ways to make an ONNX file's own functions and loops wrong, odd, or without an end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.hostile.kind import Make
from tests.hostile.onnx_network import changed, node

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]


def _behind_convolution(model: onnx.ModelProto, make: Callable[[str], onnx.NodeProto]) -> None:
    """Put a node, made of the name of its input, behind the convolution."""
    reader = node(model, "Mul")
    made = make(reader.input[0])
    model.graph.node.insert(list(model.graph.node).index(reader), made)
    reader.input[0] = made.output[0]


def functions(called: dict[str, list[str]], *, domain: str = "own") -> Make:
    """Return a case: functions that call others, one behind the other, by name; the graph calls the last."""

    def change(model: onnx.ModelProto) -> None:
        for name, others in called.items():
            names = ["x", *(f"v{place}" for place in range(len(others) - 1)), "y"]
            nodes = [
                helper.make_node(other, [names[place]], [names[place + 1]], domain=domain if other in called else "")
                for place, other in enumerate(others)
            ]
            model.functions.append(helper.make_function(domain, name, ["x"], ["y"], nodes, OPSETS))
        model.opset_import.extend(OPSETS[1:])
        last = [*called][-1]
        _behind_convolution(model, lambda name: helper.make_node(last, [name], ["called"], "call", domain=domain))

    return changed(change)


def doubling(levels: int) -> Make:
    """Return a case: each function calls the one before it twice."""
    names = [f"f{level}" for level in range(levels)]
    return functions({name: [names[level - 1] if level else "Neg"] * 2 for level, name in enumerate(names)})


def nested(levels: int) -> Make:
    """Return a case: each function calls the one before it."""
    names = [f"f{level}" for level in range(levels)]
    return functions({name: [names[level - 1] if level else "Neg"] for level, name in enumerate(names)})


def defined_twice(model: onnx.ModelProto) -> None:
    made = helper.make_function("own", "Same", ["x"], ["y"], [helper.make_node("Neg", ["x"], ["y"])], OPSETS)
    model.functions.extend([made, made])
    model.opset_import.extend(OPSETS[1:])


def loop(turns: int | None) -> Make:
    """Return a case: a loop whose condition always holds."""

    def value(name: str, kind: int, shape: list[int] | None) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    def change(model: onnx.ModelProto) -> None:
        body = helper.make_graph(
            [helper.make_node("Neg", ["v"], ["w"]), helper.make_node("Identity", ["go"], ["on"])],
            "body",
            [
                value("turn", TensorProto.INT64, []),
                value("go", TensorProto.BOOL, []),
                value("v", TensorProto.FLOAT, None),
            ],
            [value("on", TensorProto.BOOL, []), value("w", TensorProto.FLOAT, None)],
        )
        model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
        if turns is not None:
            model.graph.initializer.append(numpy_helper.from_array(np.array(turns, np.int64), "turns"))
        most = "" if turns is None else "turns"
        _behind_convolution(
            model, lambda name: helper.make_node("Loop", [most, "yes", name], ["looped"], "loop", body=body)
        )

    return changed(change)


def of_no_known_set(model: onnx.ModelProto) -> None:
    """Import a version of ONNX's operators for trees that ONNX Runtime does not know."""
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 900))


def resized_by(factor: float) -> Make:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, factor, 1], np.float32), "factors"))
        _behind_convolution(
            model, lambda name: helper.make_node("Resize", [name, "", "factors"], ["resized"], "resize", mode="nearest")
        )

    return changed(change)


def many_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.extend(
        helper.make_tensor_value_info(f"in{index}", TensorProto.FLOAT, [1]) for index in range(2000)
    )
