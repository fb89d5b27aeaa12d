"""Retype an FP32 graph to FP16: the types say what runs in which precision, with Casts where they change.

The operators' own definitions decide: a node becomes FP16 where its type variables admit float16, and inputs that
are FLOAT by definition (scales of Resize) stay so. Q/DQ pairs stay in FP32 in every opset, also from 19 on, which
admits FP16 scales. Inputs and outputs of the graph keep their types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.graph.float_layers import QUANTISERS, REQUESTED, match_names, write_keep_reasons
from fcn_deploy.graph.nodes import CONTRACT_PREFIX, add_constant, constant, insert_behind, named_node, schema_of

LARGEST_HALF = 65504.0
NORMALISATION, WEIGHT_OVERFLOW = "normalisation", "weight beyond FP16"
ACTIVATION_OVERFLOW, READS_OVERFLOW = "activation beyond FP16", "reads an activation beyond FP16"
FLOAT, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
SUFFIX = "/fp16"


@dataclass(frozen=True)
class Fp16Report:
    """What the rewrite did to the weights and the nodes.

    Attributes:
        converted: nodes that compute in FP16 now.
        kept: node -> why it stays in FP32 though it could be FP16.
        vanished: weight -> share of its elements that were not 0 and are in FP16 (only weights that lost some).
        overflowing: weights with an element beyond 65504; their nodes are among `kept`.
    """

    converted: tuple[str, ...]
    kept: Mapping[str, str]
    vanished: Mapping[str, float]
    overflowing: tuple[str, ...]


def nodes_kept_in_fp32(model: ir.Model, patterns: Sequence[str] = ()) -> dict[str, str]:
    """Return node -> why it stays in FP32: the contract's normalisation, weights beyond FP16, the user's choice."""
    reasons = {}
    for node in model.graph:
        name = node.name or ""
        if name.startswith(CONTRACT_PREFIX) and node.op_type not in ("Cast", "ArgMax"):
            reasons[name] = NORMALISATION
        elif any(_overflows(value) for value in node.inputs if value is not None):
            reasons[name] = WEIGHT_OVERFLOW
    return reasons | dict.fromkeys(match_names(patterns, model.graph), REQUESTED)


def nodes_beyond_fp16(model: ir.Model, largest: Mapping[str, float]) -> dict[str, str]:
    """Return node -> why it must stay in FP32, judged by the largest |x| of each tensor that images have shown.

    A node whose result passes 65504 stays, and so do its readers: a Cast of that result would be infinite.
    """
    reasons: dict[str, str] = {}
    for node in model.graph:
        top = max((largest.get(str(output.name), 0.0) for output in node.outputs), default=0.0)
        if top > LARGEST_HALF:
            reasons[node.name or ""] = f"{ACTIVATION_OVERFLOW} ({top:.3g})"
            for reader in node.successors():
                reasons.setdefault(reader.name or "", READS_OVERFLOW)
    return reasons


def to_fp16(model: ir.Model, kept: Mapping[str, str]) -> Fp16Report:
    """Retype `model` in place, which must be in topological order; `kept` as from `nodes_kept_in_fp32`."""
    from onnx_ir.passes import common

    common.ShapeInferencePass()(model)
    weights = {name: value for name, value in model.graph.initializers.items() if value.dtype == FLOAT}
    overflowing = tuple(name for name, value in weights.items() if _overflows(value))
    vanished = {name: share for name, value in weights.items() if (share := _vanishing(value)) > 0}
    rewrite = _Rewrite(model, kept)
    write_keep_reasons(model, kept)
    return Fp16Report(rewrite.run(), dict(kept), vanished, overflowing)


def admits_half(node: ir.Node, opset: int) -> bool:
    """Return whether the operator's definition lets its float values be float16: all that bear a type variable.

    Not where an attribute says the type of what it gives (ConstantOfShape, RandomNormal), and not for Q/DQ pairs: ONNX
    Runtime 1.31 computes wrongly with FP16 scales.
    """
    inputs, outputs = _typed(node, opset)
    decided = bool(inputs) and bool(outputs) and node.op_type not in QUANTISERS
    return decided and all("tensor(float16)" in allowed for _, allowed in inputs + outputs)


class _Rewrite:
    """One walk along the graph; values are FP16 or FP32 by their dtype from then on."""

    def __init__(self, model: ir.Model, kept: Mapping[str, str]) -> None:
        self._graph = model.graph
        self._opset = model.opset_imports[""]
        self._kept = kept
        self._as: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}
        self._halves: dict[ir.Value, ir.Value] = {}

    def run(self) -> tuple[str, ...]:
        converted = [node.name or "" for node in list(self._graph) if self._retype(node)]
        self._restore_outputs()
        self._drop_originals()
        return tuple(converted)

    def _retype(self, node: ir.Node) -> bool:
        if not any(output.dtype == FLOAT for output in node.outputs):
            self._widen_unless_admitted(node)
            return False
        if node.name in self._kept or node.op_type == "Cast" or not admits_half(node, self._opset):
            self._widen(node)
            return False
        inputs, outputs = _typed(node, self._opset)
        for index, _ in inputs:
            self._read_as(node, index, HALF)
        for index, _ in outputs:
            node.outputs[index].dtype = HALF
        return True

    def _widen_unless_admitted(self, node: ir.Node) -> None:
        """Cast the inputs of a node without float results (Shape, ArgMax) to FP32, unless it may read FP16."""
        inputs, _ = _typed(node, self._opset)
        admitted = node.op_type not in QUANTISERS and all("tensor(float16)" in allowed for _, allowed in inputs)
        values = [node.inputs[index] for index, _ in inputs]
        computed_wide = any(value is not None and value.dtype == FLOAT and not _stored(value) for value in values)
        if node.name in self._kept or not admitted or computed_wide:
            self._widen(node)
        elif any(value is not None and value.dtype == HALF for value in values):  # Greater: both operands of one type
            for index, _ in inputs:
                self._read_as(node, index, HALF)

    def _widen(self, node: ir.Node) -> None:
        if node.op_type == "Cast":
            return
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype == HALF:
                self._read_as(node, index, FLOAT)

    def _read_as(self, node: ir.Node, index: int, dtype: ir.DataType) -> None:
        value = node.inputs[index]
        assert value is not None
        if value.dtype != dtype:
            node.replace_input_with(index, self._half_weight(value) if _stored(value) else self._cast(value, dtype))

    def _half_weight(self, value: ir.Value) -> ir.Value:
        if value not in self._halves:
            self._halves[value] = add_constant(self._graph, f"{value.name}{SUFFIX}", _half(value))
        return self._halves[value]

    def _cast(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        """Return one Cast a value and type, shared by its readers, right behind the value's origin."""
        if (value, dtype) not in self._as:
            name = f"{value.name}/{'fp16' if dtype == HALF else 'fp32'}"
            node = named_node(name, "Cast", [value], {"to": dtype.value}, dtype)
            node.outputs[0].shape = value.shape
            insert_behind(self._graph, value, [node])
            self._as[value, dtype] = node.outputs[0]
        return self._as[value, dtype]

    def _restore_outputs(self) -> None:
        """Put a Cast behind FP32 outputs that became FP16, under their name."""
        for index, value in enumerate(self._graph.outputs):
            if value.dtype == HALF:
                name = str(value.name)
                value.name = f"{name}{SUFFIX}"
                wide = self._cast(value, FLOAT)
                cast = wide.producer()
                assert cast is not None
                wide.name, cast.name = name, f"{name}/fp32"
                self._graph.outputs[index] = wide

    def _drop_originals(self) -> None:
        """Give an FP16 weight the plain name, unless nodes in FP32 still read the original."""
        for original, half in self._halves.items():
            if not original.uses():
                name = str(original.name)
                self._graph.initializers.pop(name)
                self._graph.initializers.pop(str(half.name))
                half.name = name
                self._graph.register_initializer(half)


def _typed(node: ir.Node, opset: int) -> tuple[list[tuple[int, set[str]]], list[tuple[int, set[str]]]]:
    """Return (index, types that the operator admits) of the float inputs and outputs with a type variable."""
    schema = schema_of(node, opset)
    if schema is None:  # an operator of another domain: nothing is known of it, so it stays as it is
        return [], []
    variables = {constraint.type_param_str: set(constraint.allowed_type_strs) for constraint in schema.type_constraints}

    def admitted(values: Sequence[ir.Value | None], formal: Sequence[object]) -> list[tuple[int, set[str]]]:
        found = []
        for index, value in enumerate(values):
            name = formal[min(index, len(formal) - 1)].type_str  # type: ignore[attr-defined]
            if value is not None and value.dtype in (FLOAT, HALF) and name in variables:
                found.append((index, variables[name]))
        return found

    return admitted(node.inputs, schema.inputs), admitted(node.outputs, schema.outputs)


def _stored(value: ir.Value) -> bool:
    return value.producer() is None and value.const_value is not None


def _half(value: ir.Value) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return constant(value).astype(np.float16)


def _overflows(value: ir.Value) -> bool:
    if not _stored(value) or value.dtype != FLOAT:
        return False
    array = constant(value)
    return array.size > 0 and bool(np.abs(array).max() > LARGEST_HALF)


def _vanishing(value: ir.Value) -> float:
    """Return share of the elements that are not 0 in FP32 and are in FP16 (below 3e-8)."""
    array = constant(value)
    return 0.0 if array.size == 0 else float(((_half(value) == 0) & (array != 0)).mean())
