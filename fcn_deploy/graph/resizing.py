"""Resize images and logits inside a graph: to the size at which the network computes, and back to the image's.

Resize of opset 17 and TensorRT's have no antialias, so there is none: where the network's size is half of the image's,
each of its pixels is the mean of 2x2 of the image's; below half, pixels between are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from fcn_deploy.graph.nodes import CONTRACT_PREFIX, add_constant, contract_node
from fcn_deploy.network_size import NetworkSize

TO_NETWORK_SIZE, TO_IMAGE_SIZE = "to_network_size", "to_image_size"
# As torch.nn.functional.interpolate(mode="bilinear", align_corners=False); `pytorch_half_pixel` differs for one pixel.
BILINEAR = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}


class Resizing:
    """The nodes, in order, that resize N, C, H, W tensors of one graph."""

    def __init__(self, graph: ir.Graph) -> None:
        self.nodes: list[ir.Node] = []
        self._graph = graph

    def sides_of(self, name: str, value: ir.Value, first: int) -> ir.Value:
        """Return int64[2], the height and the width of `value`, whose rows are at dim `first`."""
        shape = self._add(f"{name}/Shape", "Shape", [value])
        return self._slice(name, shape, first, first + 2)

    def network_sides(self, sides: ir.Value, sizing: NetworkSize, divisor: int) -> ir.Value:
        """Return int64[2], the network's sides for an image's, by the arithmetic of `NetworkSize.of`."""
        name = TO_NETWORK_SIZE
        if sizing.fixed is not None:
            return self._constant(f"{name}/sides", sizing.fixed)
        if sizing.longest is not None:
            over: int = sizing.longest
            height, width = (self._slice(f"{name}/{word}", sides, at, at + 1) for at, word in enumerate(("h", "w")))
            under = self._add(f"{name}/longer", "Max", [height, width])
            if divisor > 1:
                under = self._add(f"{name}/under", "Mul", [under, self._constant(f"{name}/divisor", [divisor])])
        else:
            over, divided = sizing.factor.as_integer_ratio()
            under = self._constant(f"{name}/under", [divided * divisor])
        two = self._constant(f"{name}/two", [2])
        twice = self._add(f"{name}/twice_under", "Mul", [under, two])
        shares = self._add(f"{name}/shares", "Mul", [sides, self._constant(f"{name}/over", [2 * over])])
        rounded = self._add(f"{name}/rounded", "Add", [shares, under])
        quotient = self._add(f"{name}/quotient", "Div", [rounded, twice])
        least = self._add(f"{name}/least", "Max", [quotient, self._constant(f"{name}/one", [1])])
        if divisor == 1:
            return least
        return self._add(f"{name}/sides", "Mul", [least, self._constant(f"{name}/multiple", [divisor])])

    def resize(self, name: str, value: ir.Value, sides: ir.Value) -> ir.Value:
        """Return `value` [N, C, h, w] with these sides."""
        shape = self._add(f"{name}/of/Shape", "Shape", [value])
        channels = self._slice(f"{name}/of", shape, 0, 2)
        sizes = self._add(f"{name}/sizes", "Concat", [channels, sides], {"axis": 0})
        return self._add(name, "Resize", [value, None, None, sizes], BILINEAR, value.dtype)

    def _slice(self, name: str, shape: ir.Value, start: int, end: int) -> ir.Value:
        bounds = [self._constant(f"{name}/{word}", [number]) for word, number in (("start", start), ("end", end))]
        return self._add(f"{name}/Slice", "Slice", [shape, *bounds])

    def _constant(self, name: str, numbers: Sequence[int]) -> ir.Value:
        return add_constant(self._graph, CONTRACT_PREFIX + name, np.array(numbers, np.int64))

    def _add(self, name: str, op_type: str, inputs: Sequence[ir.Value | None], attributes: dict[str, Any] | None = None,
             dtype: ir.DataType | None = ir.DataType.INT64) -> ir.Value:  # fmt: skip
        node = contract_node(name, op_type, inputs, attributes, dtype)
        self.nodes.append(node)
        return node.outputs[0]
