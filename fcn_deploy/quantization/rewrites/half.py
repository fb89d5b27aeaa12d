"""Retype an FP32 graph to FP16 or BF16: the types say what runs in which precision, with Casts where they change.

The operators' own definitions decide: a node becomes FP16 where its type variables admit float16, and inputs that
are FLOAT by definition (scales of Resize) stay so. Q/DQ pairs stay in FP32 in every opset, also from 19 on, which
admits FP16 scales. Inputs and outputs of the graph keep their types. Of the two, FP16 is the default of each function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.graph.float_layers import QUANTISERS, write_keep_reasons
from fcn_deploy.graph.nodes import add_constant, constant, insert_behind, named_node, schema_of
from fcn_deploy.quantization.rewrites.half_type import BF16, FP16, HalfType, is_stored, overflows
from fcn_deploy.quantization.rewrites.opset import raise_opset

FLOAT = ir.DataType.FLOAT


@dataclass(frozen=True)
class HalfReport:
    """What the rewrite did to the weights and the nodes.

    Attributes:
        type: what they became.
        converted: nodes that compute in it now.
        kept: node -> why it stays in FP32 though it could be in the type.
        vanished: weight -> share of its elements that were not 0 and now are (only weights that lost some).
        overflowing: weights with an element beyond 65504; their nodes are among `kept`.
    """

    type: HalfType
    converted: tuple[str, ...]
    kept: Mapping[str, str]
    vanished: Mapping[str, float]
    overflowing: tuple[str, ...]


def to_half(model: ir.Model, kept: Mapping[str, str], half: HalfType = FP16) -> HalfReport:
    """Retype `model` in place, which must be in topological order; `kept` as from `nodes_kept_in_fp32`.

    Raises:
        GraphError: the type needs a later opset, and the graph cannot be restated in it.
    """
    from onnx_ir.passes import common

    raise_opset(model, half.opset, half.name.upper())
    common.ShapeInferencePass()(model)
    weights = {name: value for name, value in model.graph.initializers.items() if value.dtype == FLOAT}
    overflowing = tuple(name for name, value in weights.items() if overflows(value, half))
    vanished = {name: share for name, value in weights.items() if (share := _vanishing(value, half)) > 0}
    rewrite = _Rewrite(model, kept, half)
    write_keep_reasons(model, kept)
    return HalfReport(half, rewrite.run(), dict(kept), vanished, overflowing)


def admits_half(node: ir.Node, opset: int, half: HalfType = FP16) -> bool:
    """Return whether the operator's definition lets its float values be of the type: all that bear a type variable.

    Not where an attribute says the type of what it gives (ConstantOfShape, RandomNormal), and not for Q/DQ pairs: ONNX
    Runtime 1.31 computes wrongly with FP16 scales.
    """
    inputs, outputs = _typed(node, opset)
    decided = bool(inputs) and bool(outputs) and node.op_type not in QUANTISERS
    return decided and all(half.admitted in allowed for _, allowed in inputs + outputs)


class _Rewrite:
    """One walk along the graph; values are of the type or FP32 by their dtype from then on."""

    def __init__(self, model: ir.Model, kept: Mapping[str, str], half: HalfType) -> None:
        self._type = half
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
        if node.name in self._kept or node.op_type == "Cast" or not admits_half(node, self._opset, self._type):
            self._widen(node)
            return False
        inputs, outputs = _typed(node, self._opset)
        for index, _ in inputs:
            self._read_as(node, index, self._type.dtype)
        for index, _ in outputs:
            node.outputs[index].dtype = self._type.dtype
        return True

    def _widen_unless_admitted(self, node: ir.Node) -> None:
        """Cast the inputs of a node without float results (Shape, ArgMax) to FP32, unless it may read the type."""
        inputs, _ = _typed(node, self._opset)
        admitted = node.op_type not in QUANTISERS and all(self._type.admitted in allowed for _, allowed in inputs)
        values = [node.inputs[index] for index, _ in inputs]
        computed_wide = any(value is not None and value.dtype == FLOAT and not is_stored(value) for value in values)
        if node.name in self._kept or not admitted or computed_wide:
            self._widen(node)
        elif any(
            value is not None and value.dtype == self._type.dtype for value in values
        ):  # Greater: both operands of one type
            for index, _ in inputs:
                self._read_as(node, index, self._type.dtype)

    def _widen(self, node: ir.Node) -> None:
        if node.op_type == "Cast":
            return
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype == self._type.dtype:
                self._read_as(node, index, FLOAT)

    def _read_as(self, node: ir.Node, index: int, dtype: ir.DataType) -> None:
        value = node.inputs[index]
        assert value is not None
        if value.dtype != dtype:
            node.replace_input_with(index, self._half_weight(value) if is_stored(value) else self._cast(value, dtype))

    def _suffixed(self, value: ir.Value) -> str:
        return f"{value.name}/{self._type.name}"

    def _half_weight(self, value: ir.Value) -> ir.Value:
        if value not in self._halves:
            self._halves[value] = add_constant(self._graph, self._suffixed(value), _half(value, self._type))
        return self._halves[value]

    def _cast(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        """Return one Cast a value and type, shared by its readers, right behind the value's origin."""
        if (value, dtype) not in self._as:
            name = self._suffixed(value) if dtype == self._type.dtype else f"{value.name}/fp32"
            node = named_node(name, "Cast", [value], {"to": dtype.value}, dtype)
            node.outputs[0].shape = value.shape
            insert_behind(self._graph, value, [node])
            self._as[value, dtype] = node.outputs[0]
        return self._as[value, dtype]

    def _restore_outputs(self) -> None:
        """Put a Cast behind FP32 outputs that were retyped, under their name."""
        for index, value in enumerate(self._graph.outputs):
            if value.dtype == self._type.dtype:
                name = str(value.name)
                value.name = self._suffixed(value)
                wide = self._cast(value, FLOAT)
                cast = wide.producer()
                assert cast is not None
                wide.name, cast.name = name, f"{name}/fp32"
                self._graph.outputs[index] = wide

    def _drop_originals(self) -> None:
        """Give a retyped weight the plain name, unless nodes in FP32 still read the original."""
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
            if value is not None and value.dtype in (FLOAT, FP16.dtype, BF16.dtype) and name in variables:
                found.append((index, variables[name]))
        return found

    return admitted(node.inputs, schema.inputs), admitted(node.outputs, schema.outputs)


def _half(value: ir.Value, half: HalfType) -> NDArray[np.generic]:
    with np.errstate(over="ignore"):
        return constant(value).astype(half.dtype.numpy())


def _vanishing(value: ir.Value, half: HalfType) -> float:
    """Return share of the elements that are not 0 in FP32 and are in the type (FP16: below 3e-8)."""
    array = constant(value)
    return 0.0 if array.size == 0 else float(((_half(value, half) == 0) & (array != 0)).mean())
