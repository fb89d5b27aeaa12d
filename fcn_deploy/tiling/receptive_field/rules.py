"""Define how each operator maps the rows and columns of its input to those of its result.

An operator that is not here is an error and not a guess: it may look at the whole image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

import onnx_ir as ir

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.sizes import TensorSize
from fcn_deploy.tiling.receptive_field.spatial_axes import (
    Kernel,
    NodeContext,
    NotUniform,
    SpatialAxes,
    ValidRange,
    after_interpolation,
    after_repeat,
    after_shift,
    after_transposed_convolution,
    after_window,
    intersection,
)

# Each output element depends on the inputs' element at the same place alone (and on constants).
POINTWISE = frozenset({
    "Abs", "Add", "BatchNormalization", "Cast", "CastLike", "Ceil", "Clip", "Div", "Dropout", "Elu", "Equal", "Erf",
    "Exp", "Floor", "Gelu", "Greater", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "Log", "Max",
    "Min", "Mish", "Mul", "Neg", "Not", "PRelu", "Pow", "QuantizeLinear", "DequantizeLinear", "Reciprocal", "Relu",
    "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh", "ThresholdedRelu",
    "Where", "TRT_INT8QuantizeLinear", "TRT_INT8DequantizeLinear",
})  # fmt: skip
ALONG_AN_AXIS = frozenset({"ArgMax", "Concat", "Gather", "LogSoftmax", "Softmax"})
WEIGHT_INPUT = {"Conv": 1, "ConvInteger": 1, "ConvTranspose": 1, "QLinearConv": 3}
POOLS = frozenset({"MaxPool", "AveragePool", "LpPool"})
NO_TENSOR = frozenset({"Shape", "Size"})

Rule = Callable[[NodeContext], SpatialAxes]


def propagate(node: ir.Node, fields: dict[str, SpatialAxes], sizes: Mapping[str, TensorSize]) -> None:
    """Add the field of the node's result to `fields`.

    Raises:
        GraphError: the operator is unknown or looks at all of the image, or the graph hides what tiles need to know.
        NotUniform: it does not move with the image.
    """
    if node.op_type in NO_TENSOR:
        return
    shapes = tuple(None if value is None else sizes[str(value.name)].shape for value in node.inputs)
    result = sizes[str(node.outputs[0].name)].shape
    found = tuple(None if value is None else fields.get(str(value.name)) for value in node.inputs)
    step = NodeContext(node, found, shapes, result or ())
    if result is None and sum(field is not None for field in found) > 1 and None not in shapes:
        raise NotUniform(step.name, "the tensors that it joins have not one size at sides like these")
    if result is None:
        raise GraphError(f"{step.name}: the size of its result is unknown, so the image cannot be cut into tiles")
    rule = _RULES.get(node.op_type)
    if rule is None:
        raise GraphError(f"{step.name} may look at the whole image, so no tile is known to be exact")
    fields[str(node.outputs[0].name)] = rule(step)


def _pointwise(step: NodeContext) -> SpatialAxes:
    """Align operands by their last dims, as ONNX broadcasts; constants may not vary along rows and columns."""
    given = [field for field in step.fields if field is not None]
    rank = len(step.result)
    main = given[0]
    for field, shape in zip(step.fields, step.shapes, strict=True):
        if field is None:
            varying = [axis for axis in main.axes if len(shape or ()) >= rank - axis and (shape or ())[axis - rank] > 1]
            if varying and step.node.op_type not in ("QuantizeLinear", "DequantizeLinear", "BatchNormalization"):
                raise GraphError(f"{step.name} has a constant that varies with the place in the image")
        elif field.axes != main.axes or len(shape or ()) != rank:
            raise GraphError(f"{step.name} joins tensors whose rows and columns are at different dims")
    return _intersected(step, given)


def _intersected(step: NodeContext, given: list[SpatialAxes]) -> SpatialAxes:
    """Combine several tensors index by index."""
    ranges = [[field.ranges[axis] for field in given] for axis in (0, 1)]
    if any(valid.size != own[0].size or valid.stride != own[0].stride for own in ranges for valid in own):
        raise NotUniform(step.name, "the tensors that it joins lie at different strides")
    return replace(given[0], ranges=(intersection(ranges[0]), intersection(ranges[1])))


def _along_an_axis(step: NodeContext) -> SpatialAxes:
    """Pass through an operator over classes or channels; reject one over rows or columns."""
    given = [field for field in step.fields if field is not None]
    rank = len(step.shapes[0] or ())
    default = {"Softmax": -1, "LogSoftmax": -1}.get(step.node.op_type, 0)
    axis = step.node.attributes.get_int("axis", default) % rank
    if any(axis in field.axes for field in given):
        raise GraphError(f"{step.name} goes along rows or columns, so it looks at the whole image")
    if len(given) != len(step.fields) and step.node.op_type == "Concat":
        raise GraphError(f"{step.name} joins the image with a constant; tiles know of none")
    joined = _intersected(step, given)
    gone = rank - len(step.result)
    rows, columns = (own - gone if own > axis else own for own in joined.axes)
    return replace(joined, axes=(rows, columns))


def _reduced(step: NodeContext) -> SpatialAxes:
    """Pass through a reduction over classes or channels; reject one over rows or columns."""
    rank = len(step.shapes[0] or ())
    gone = {axis % rank for axis in step.ints("axes", []) or step.constant(1) or range(rank)}
    field = step.field
    if gone & set(field.axes):
        raise GraphError(f"{step.name} goes along rows or columns, so it looks at the whole image")
    if step.node.attributes.get_int("keepdims", 1):
        return field
    rows, columns = (axis - sum(other < axis for other in gone) for axis in field.axes)
    return replace(field, axes=(rows, columns))


def _per_axis(step: NodeContext, one: Callable[[ValidRange, int, int], ValidRange]) -> SpatialAxes:
    """Apply a rule to rows and to columns of an N, C, H, W tensor: (valid range, axis 0 or 1, size of the result)."""
    field = step.field
    if field.axes != (2, 3):
        raise GraphError(f"{step.name} has its rows and columns at dims {field.axes}; expected 2 and 3")
    rows, columns = (one(field.ranges[axis], axis, step.result[2 + axis]) for axis in (0, 1))
    return SpatialAxes((2, 3), (rows, columns))


def _kernels(step: NodeContext) -> tuple[Kernel, Kernel]:
    padding = step.text("auto_pad", "NOTSET")
    if padding not in ("NOTSET", "VALID"):
        raise GraphError(f"{step.name} has auto_pad {padding}, which depends on the image's size; export explicit pads")
    weight = WEIGHT_INPUT.get(step.node.op_type)
    kernel = step.ints("kernel_shape", list((step.shapes[weight] or ())[2:]) if weight is not None else [])
    strides, dilations, pads = (
        step.ints(name, default) for name, default in (("strides", [1, 1]), ("dilations", [1, 1]), ("pads", [0] * 4))
    )
    if len(kernel) != 2:
        raise GraphError(f"{step.name} has a kernel of {len(kernel)} dims; expected rows and columns")
    rows, columns = (Kernel(kernel[axis], strides[axis], dilations[axis], pads[axis]) for axis in (0, 1))
    return rows, columns


def _windowed(step: NodeContext) -> SpatialAxes:
    taps = _kernels(step)
    return _per_axis(step, lambda valid, axis, size: after_window(valid, taps[axis], size))


def _transposed(step: NodeContext) -> SpatialAxes:
    if "output_shape" in step.node.attributes:
        raise GraphError(f"{step.name} has a fixed output_shape; export explicit pads")
    taps = _kernels(step)
    return _per_axis(step, lambda valid, axis, size: after_transposed_convolution(valid, taps[axis], size))


def _shuffled(step: NodeContext) -> SpatialAxes:
    times = step.node.attributes["blocksize"].as_int()
    return _per_axis(step, lambda valid, axis, size: after_repeat(valid, times, size))


def _padded(step: NodeContext) -> SpatialAxes:
    pads = step.ints("pads", []) or step.constant(1) or []
    if step.constant(3) is not None or len(pads) != 8 or min(pads) < 0:
        raise GraphError(f"{step.name} pads by {pads}; expected eight numbers that are not negative")
    return _per_axis(step, lambda valid, axis, size: after_shift(valid, pads[2 + axis], size))


def _sliced(step: NodeContext) -> SpatialAxes:
    """Handle cuts at constant places from the top left; the ends follow from the size of the result."""
    starts = step.constant(1) or []
    rank = len(step.result)
    axes = [axis % rank for axis in step.constant(3) or range(len(starts))]
    steps = step.constant(4) or [1] * len(starts)
    cuts = {axis: (start, pace) for axis, start, pace in zip(axes, starts, steps, strict=True)}
    field = step.field
    ranges = []
    for axis, valid in zip(field.axes, field.ranges, strict=True):
        start, pace = cuts.get(axis, (0, 1))
        if start < 0 or pace != 1 or field.flat:
            raise GraphError(f"{step.name} cuts rows or columns from the end or in steps; expected cuts from 0 or on")
        ranges.append(after_shift(valid, -start, step.result[axis]))
    return replace(field, ranges=(ranges[0], ranges[1]))


def _resized(step: NodeContext) -> SpatialAxes:
    mode, places = step.text("mode", "nearest"), step.text("coordinate_transformation_mode", "half_pixel")
    shift = {"half_pixel": Fraction(1, 2), "pytorch_half_pixel": Fraction(1, 2), "asymmetric": Fraction(0)}.get(places)
    if mode not in ("linear", "nearest") or shift is None or step.node.attributes.get_int("antialias", 0) == 1:
        raise GraphError(
            f"{step.name} is {mode} with {places}; known are linear and nearest with half_pixel or asymmetric"
        )
    return _per_axis(step, lambda valid, axis, size: after_interpolation(valid, size, shift))


def _transposed_dims(step: NodeContext) -> SpatialAxes:
    field = step.field
    rank = len(step.result)
    order = step.ints("perm", list(range(rank))[::-1])
    return replace(field, axes=(order.index(field.axes[0]), order.index(field.axes[1])))


def _reshaped(step: NodeContext) -> SpatialAxes:
    """Follow a reshape in which rows and columns stay the last two dims, become one, or are split again."""
    field, before = step.field, len(step.shapes[0] or ())
    rows, columns = (valid.size for valid in field.ranges)
    last = before - 1
    if field.axes in ((last - 1, last), (last, last)):
        if step.result[-2:] == (rows, columns):
            return replace(field, axes=(len(step.result) - 2, len(step.result) - 1))
        if step.result[-1] == rows * columns:
            return replace(field, axes=(len(step.result) - 1,) * 2)
    raise GraphError(f"{step.name} takes rows and columns apart in a way that tiles do not follow")


def _squeezed(step: NodeContext) -> SpatialAxes:
    field, shape = step.field, step.shapes[0] or ()
    gone = step.ints("axes", []) or step.constant(1) or [axis for axis, dim in enumerate(shape) if dim == 1]
    dropped = {axis % len(shape) for axis in gone}
    axes = tuple(axis - sum(other < axis for other in dropped) for axis in field.axes)
    return replace(field, axes=(axes[0], axes[1]))


_RULES: dict[str, Rule] = {
    **dict.fromkeys(POINTWISE, _pointwise),
    **dict.fromkeys(ALONG_AN_AXIS, _along_an_axis),
    **dict.fromkeys((*POOLS, "Conv", "ConvInteger", "QLinearConv"), _windowed),
    **dict.fromkeys(("ReduceMax", "ReduceSum"), _reduced),
    "ConvTranspose": _transposed,
    "DepthToSpace": _shuffled,
    "Pad": _padded,
    "Slice": _sliced,
    "Resize": _resized,
    "Transpose": _transposed_dims,
    "Reshape": _reshaped,
    "Squeeze": _squeezed,
}
