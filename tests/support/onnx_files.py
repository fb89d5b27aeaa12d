"""Small ONNX files made by hand: the class of a pixel is its strongest colour channel, after (x - mean) / std."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.card import CARD_KEY, ModelCard

CARD = ModelCard("fcn32s", ("red", "green", "blue"), mean=(10.0, 20.0, 30.0), std=(2.0, 1.0, 4.0))


def write_graph(
    path: Path,
    *,
    image: str = "uint8",
    outputs: tuple[str, ...] = ("labels",),
    card: ModelCard | None = CARD,
    label_type: int = TensorProto.UINT8,
    names: tuple[str, str, str] = ("image", "labels", "logits"),
) -> Path:
    """A file whose input is uint8[N, H, W, 3] (normalised inside) or float32[N, 3, H, W] (normalised outside)."""
    nodes = []
    if image == "uint8":
        flow = helper.make_tensor_value_info(names[0], TensorProto.UINT8, ["N", "H", "W", 3])
        nodes += [
            helper.make_node("Cast", [names[0]], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["cast"], ["nchw"], perm=[0, 3, 1, 2]),
            helper.make_node("Sub", ["nchw", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "std"], ["normalised"]),
        ]
    else:
        flow = helper.make_tensor_value_info(names[0], TensorProto.FLOAT, ["N", 3, "H", "W"])
        nodes.append(helper.make_node("Identity", [names[0]], ["normalised"]))
    nodes += [
        helper.make_node("Mul", ["normalised", "one"], [names[2]]),
        helper.make_node("ArgMax", [names[2]], ["wide"], axis=1, keepdims=0),
        helper.make_node("Cast", ["wide"], [names[1]], to=label_type),
    ]
    types = {"labels": (label_type, ["N", "H", "W"]), "logits": (TensorProto.FLOAT, ["N", 3, "H", "W"])}
    kept = [helper.make_tensor_value_info(names[1 if name == "labels" else 2], *types[name]) for name in outputs]
    constants = [
        helper.make_tensor("mean", TensorProto.FLOAT, [1, 3, 1, 1], CARD.mean),
        helper.make_tensor("std", TensorProto.FLOAT, [1, 3, 1, 1], CARD.std),
        helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
    ]
    graph = helper.make_graph(nodes, "strongest channel", [flow], kept, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if card is not None:
        helper.set_model_props(model, {CARD_KEY: card.to_json()})
    onnx.save(model, path)
    return path


def model_of(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], opset: int = 18) -> ir.Model:
    """A graph from float32[N, 2, H, W] x to y."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, "H", "W"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b", "c", "d"])
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], initializers)
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]))


def reference_output(model: ir.Model, x: np.ndarray) -> np.ndarray:
    """Run a model in the onnx package's reference evaluator."""
    return onnx.reference.ReferenceEvaluator(ir.to_proto(model)).run(None, {"x": x})[0]
