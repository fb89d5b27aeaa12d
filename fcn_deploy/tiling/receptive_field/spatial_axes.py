"""Describe which axes of a tensor are rows and columns of the image, and a node with its inputs' axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fcn_deploy.errors import GraphError
from fcn_deploy.tiling.receptive_field.valid_range import ValidRange


class NotUniform(Exception):  # noqa: N818 - it ends one attempt and becomes a GraphError, or a divisor
    """A node that does not move with the image: the same pixels elsewhere would give something else."""

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(f"{node}: {reason}")
        self.node = node


@dataclass(frozen=True)
class SpatialAxes:
    """Rows and columns of one tensor.

    Attributes:
        axes: where they stand among its dims; the same axis twice where both were flattened into one.
        ranges: which of their indices are valid.
    """

    axes: tuple[int, int]
    ranges: tuple[ValidRange, ValidRange]

    @property
    def flat(self) -> bool:
        return self.axes[0] == self.axes[1]


@dataclass(frozen=True)
class NodeContext:
    """One node with what is known of its inputs and its result.

    Attributes:
        fields: of its inputs, None for those without rows and columns.
        shapes: of its inputs, None for absent ones; result: shape of its first output.
    """

    node: ir.Node
    fields: tuple[SpatialAxes | None, ...]
    shapes: tuple[tuple[int, ...] | None, ...]
    result: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.node.op_type} node {self.node.name or self.node.outputs[0].name}"

    @property
    def field(self) -> SpatialAxes:
        """Of the first input, which an operator on rows and columns reads; GraphError if it is not that one."""
        first = self.fields[0]
        if first is None:
            raise GraphError(f"{self.name} reads the image through another input than its first; tiles need that one")
        return first

    def ints(self, name: str, default: list[int]) -> list[int]:
        return list(self.node.attributes.get_ints(name, default))

    def text(self, name: str, default: str) -> str:
        return self.node.attributes.get_string(name, default) or default

    def constant(self, position: int) -> list[int] | None:
        """Return the integers of an input; None if it is absent. GraphError if it is computed while the graph runs."""
        value = self.node.inputs[position] if position < len(self.node.inputs) else None
        if value is None or not value.name:
            return None
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is None:
            raise GraphError(f"{self.name} computes {value.name} while it runs; tiles need it constant")
        return [int(number) for number in np.asarray(tensor.numpy()).reshape(-1)]
