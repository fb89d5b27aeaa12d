"""Track which axes of a tensor are rows and columns of the image, and which of their indices are valid.

A window is a part of an image that is run alone. Inside it a tensor's values are those of the whole image's tensor,
save near borders where the whole image has pixels and the window has padding, or nothing. `ValidRange` says which are
valid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import onnx_ir as ir

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.nodes import operand


class NotUniform(Exception):  # noqa: N818 - it ends one attempt and becomes a GraphError, or a divisor
    """A node that does not move with the image: the same pixels elsewhere would give something else."""

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(f"{node}: {reason}")
        self.node = node


@dataclass(frozen=True)
class SpatialAxes:
    """Rows and columns of one tensor.

    Attributes:
        axes: their positions among its dims; the same axis twice where both were flattened into one.
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
        value = operand(self.node, position)
        if value is None or not value.name:
            return None
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is None:
            raise GraphError(f"{self.name} computes {value.name} while it runs; tiles need it constant")
        return [int(number) for number in np.asarray(tensor.numpy()).reshape(-1)]


@dataclass(frozen=True)
class ValidRange:
    """Indices [first, last) of `size` that hold what the whole image's tensor holds, for a window with no true border.

    Attributes:
        stride: image pixels from one index to the next.
    """

    first: int
    last: int
    size: int
    stride: Fraction = Fraction(1)

    @property
    def empty(self) -> bool:
        return self.last <= self.first


@dataclass(frozen=True)
class Kernel:
    """What output o reads of one axis: `kernel` inputs, `dilation` apart, the first at o x `stride` - `before`."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0

    @property
    def reach(self) -> int:
        """Inputs from the first tap to the last."""
        return (self.kernel - 1) * self.dilation


def after_window(valid: ValidRange, taps: Kernel, size: int) -> ValidRange:
    """Map a range through convolution or pooling: output o reads o s - p .. o s - p + (k - 1) d."""
    first = -((-valid.first - taps.before) // taps.stride)
    last = (valid.last - 1 + taps.before - taps.reach) // taps.stride + 1
    return _clamped(first, last, size, valid.stride * taps.stride)


def after_transposed_convolution(valid: ValidRange, taps: Kernel, size: int) -> ValidRange:
    """Map a range through a transposed convolution: input i goes into outputs i s - p .. i s - p + (k - 1) d."""
    first = (valid.first - 1) * taps.stride - taps.before + taps.reach + 1
    last = valid.last * taps.stride - taps.before
    return _clamped(first, last, size, valid.stride / taps.stride)


def after_repeat(valid: ValidRange, times: int, size: int) -> ValidRange:
    """Repeat each index `times` times (DepthToSpace)."""
    return _clamped(valid.first * times, valid.last * times, size, valid.stride / times)


def after_shift(valid: ValidRange, places: int, size: int) -> ValidRange:
    """Shift a range by padding of `places` in front, or a cut of -`places`."""
    return _clamped(valid.first + places, valid.last + places, size, valid.stride)


def after_interpolation(valid: ValidRange, size: int, shift: Fraction) -> ValidRange:
    """Map a range through interpolation to `size`: output o reads both neighbours of (o + shift) in / out - shift.

    `shift` is 1/2 for pixel centres aligned by half, 0 for `asymmetric`. At integral positions the second neighbour
    has weight 0, but is multiplied all the same, so it must exist.
    """
    scale = Fraction(size, valid.size)
    first = (valid.first + shift) * scale - shift  # the smallest real o with a position >= first
    last = (valid.last - 1 + shift) * scale - shift  # below it floor(position) + 1 <= last - 1
    return _clamped(-(-first // 1), -(-last // 1), size, valid.stride / scale)


def intersection(ranges: list[ValidRange]) -> ValidRange:
    """Return the range in which all of several tensors of one size are valid."""
    return replace(ranges[0], first=max(valid.first for valid in ranges), last=min(valid.last for valid in ranges))


def _clamped(first: int, last: int, size: int, stride: Fraction) -> ValidRange:
    return ValidRange(max(0, first), min(size, last), size, stride)
