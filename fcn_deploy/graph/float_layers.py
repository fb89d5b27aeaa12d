"""Choose the nodes that stay in a wider type, and write the reason into each node's metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import onnx_ir as ir

from fcn_deploy.errors import GraphError, UnknownNameError
from fcn_deploy.graph.nodes import operand

# Metadata of a node: why it was left in a wider type on purpose.
KEEP_KEY = "fcn_deploy.keep"
FIRST, SCORE, REQUESTED, SEARCHED = "first layer", "score layer", "by request", "by the layer search"
NARROW_FIRST = "first layer of few channels, faster in float"
# Output channels up to which ONNX Runtime's CPU kernels run a first layer, of three input channels, faster in float.
NARROW = 16
COMPUTED_WEIGHT = "weight or bias is computed, not stored"

QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
# That compute with integers; TensorRT lacks them.
INTEGER_OPERATORS = ("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul")
_QUANTISED = (*QUANTISERS, *INTEGER_OPERATORS, "DynamicQuantizeLinear")


def convolutions(model: ir.Model) -> list[ir.Node]:
    """Return the Conv nodes, in the graph's order; transposed convolutions are not among them."""
    return [node for node in model.graph if node.op_type == "Conv" and node.domain == ""]


def check_rewritable(model: ir.Model, path: object) -> None:
    """Raise GraphError for a graph that is quantised, FP16 or BF16 already, or has no convolution."""
    quantised = [node for node in model.graph if node.op_type in _QUANTISED or node.op_type.startswith("QLinear")]
    if quantised:
        raise GraphError(
            f"{path} is quantised already ({len(quantised)} nodes such as {quantised[0].name}); "
            "give the FP32 file that it was made from"
        )
    stored = {value.dtype for value in model.graph.initializers.values()}
    for dtype, word in ((ir.DataType.FLOAT16, "FP16"), (ir.DataType.BFLOAT16, "BF16")):
        if dtype in stored:
            raise GraphError(f"{path} holds {word} weights already; give the FP32 file that it was made from")
    if not convolutions(model):
        raise GraphError(f"{path} has no convolution; expected a convolutional network")


def for_cpu_alone(model: ir.Model) -> bool:
    """Return whether the graph is quantised in a way that TensorRT rejects: to UINT8, or with integer operators."""
    return any(
        node.op_type in INTEGER_OPERATORS
        or (node.op_type in QUANTISERS and (zero := operand(node, 2)) is not None and zero.dtype == ir.DataType.UINT8)
        for node in model.graph
    )


def first_layers(model: ir.Model) -> list[str]:
    """Return names of the convolutions with no convolution before them: their input is the image."""
    return [node.name or "" for node in convolutions(model) if not _reaches_conv(node, ir.Node.predecessors)]


def score_layers(model: ir.Model) -> list[str]:
    """Return names of the 1x1 convolutions with no convolution after them: their output is scores of classes."""
    return [
        node.name or ""
        for node in convolutions(model)
        if _kernel(node) == (1, 1) and not _reaches_conv(node, ir.Node.successors)
    ]


def match_names(patterns: Sequence[str], nodes: Iterable[ir.Node]) -> list[str]:
    """Return names of the nodes that one of `patterns` ("score_*", "backbone.stage1.conv1") names.

    Raises:
        UnknownNameError: a pattern that names none, with the near matches.
    """
    names = [node.name or "" for node in nodes]
    found: dict[str, None] = {}
    for pattern in patterns:
        hits = [name for name in names if fnmatchcase(name, pattern)]
        if not hits:
            raise UnknownNameError.of("node", pattern, names)
        found.update(dict.fromkeys(hits))
    return list(found)


def narrow_layers(model: ir.Model, names: Sequence[str]) -> list[str]:
    """Return those of the convolutions `names` that have at most `NARROW` output channels."""
    stored = {node.name: node.inputs[1].const_value for node in convolutions(model) if node.inputs[1] is not None}
    return [name for name in names if (weight := stored.get(name)) is not None and weight.shape.numpy()[0] <= NARROW]


def choose_float_layers(
    model: ir.Model, patterns: Sequence[str] = (), *, first: bool | Literal["narrow"] = True, score: bool = True
) -> dict[str, str]:
    """Return convolution -> why it stays in float.

    Args:
        patterns: names asked for by the user, see `match_names`.
        first, score: whether the first layers and the score layers stay in float; "narrow" for those first layers that
            8 bits make slower on a CPU.
    """
    reasons = dict.fromkeys(first_layers(model), FIRST) if first is True else {}
    if first == "narrow":
        reasons = dict.fromkeys(narrow_layers(model, first_layers(model)), NARROW_FIRST)
    if score:
        reasons |= dict.fromkeys(score_layers(model), SCORE)
    for node in convolutions(model):
        if any(value is not None and value.const_value is None for value in node.inputs[1:]):
            reasons[node.name or ""] = COMPUTED_WEIGHT
    return reasons | dict.fromkeys(match_names(patterns, convolutions(model)), REQUESTED)


def write_keep_reasons(model: ir.Model, reasons: Mapping[str, str]) -> None:
    """Write each reason into its node's metadata, after one that is there already."""
    for node in model.graph:
        reason = reasons.get(node.name or "")
        if reason is not None:
            earlier = node.metadata_props.get(KEEP_KEY)
            node.metadata_props[KEEP_KEY] = reason if earlier in (None, reason) else f"{earlier}; {reason}"


def _kernel(node: ir.Node) -> tuple[int, ...]:
    weight = node.inputs[1]
    shape = () if weight is None or weight.const_value is None else weight.const_value.shape.numpy()
    return tuple(shape[2:])


def _reaches_conv(start: ir.Node, step: Callable[[ir.Node], Iterable[ir.Node]]) -> bool:
    """Return whether a convolution is among the nodes that `step` leads to from `start`, again and again."""
    seen: set[ir.Node] = set()
    todo = list(step(start))
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo.extend(step(current))
    return any(node.op_type == "Conv" for node in seen)
