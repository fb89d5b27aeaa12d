"""The smallest graph under the contract: one 3x3 convolution to three classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from fcn_deploy.card import CARD_KEY, ModelCard
from fcn_deploy.graph.contract_io import graft_contract
from fcn_deploy.graph.nodes import add_constant, named_node
from fcn_deploy.vocabulary import LABELS, LOGITS, InputKind

CARD = ModelCard("fcn8s", ("a", "b", "c"), mean=(10.0, 20.0, 30.0), std=(2.0, 3.0, 4.0), channel_order="BGR")
SCORES = np.random.default_rng(0).normal(size=(3, 3, 3, 3)).astype(np.float32)


def small_graph(
    card: ModelCard = CARD, input_kind: InputKind = "uint8", outputs: Sequence[str] = (LABELS, LOGITS), gain: float = 1
) -> ir.Model:
    """Return the graph with the weights `SCORES` times `gain`, and its card in the metadata."""
    image = ir.val("x", ir.DataType.FLOAT, ["N", 3, "H", "W"])
    graph = ir.Graph([image], [], nodes=[], opset_imports={"": 17}, name="small")
    weight = add_constant(graph, "weight", SCORES * np.float32(gain))
    conv = named_node("score", "Conv", [image, weight], {"pads": [1, 1, 1, 1]}, ir.DataType.FLOAT)
    graph.append(conv)
    graph.outputs.append(conv.outputs[0])
    model = ir.Model(graph, ir_version=8)
    model.metadata_props[CARD_KEY] = card.to_json()
    graft_contract(model, card, input_kind, outputs=outputs)
    return model
