"""Infer the type and shape of every value of a graph, for one size of the image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.nodes import schema_of
from fcn_deploy.graph.ports import axes_of, dims_of

# Constants of up to this many elements are computed with: sizes, starts, ends, scales of a Resize. No weight is.
SMALL = 256

FixedDims = tuple[int | None, int | None, int | None]


@dataclass(frozen=True)
class TensorSize:
    """Element type and dims of one value; None for what the graph does not define."""

    dtype: ir.DataType | None
    shape: tuple[int, ...] | None

    @property
    def nbytes(self) -> int:
        """Bytes of the value; 0 if its size is not known."""
        return 0 if self.dtype is None or self.shape is None else int(math.prod(self.shape) * self.dtype.itemsize)


@dataclass(frozen=True)
class ImageSize:
    """The size that the image input was given."""

    batch: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}" if self.batch == 1 else f"{self.batch}x{self.height}x{self.width}"


@dataclass
class _Known:
    """What is known so far, by value name; and the versions of operators and format that the file is of."""

    opsets: list[onnx.OperatorSetIdProto]
    ir_version: int
    types: dict[str, onnx.TypeProto] = field(default_factory=dict)
    constants: dict[str, NDArray[np.generic]] = field(default_factory=dict)


def graph_inputs(model: ir.Model) -> list[ir.Value]:
    """Return the inputs that a caller feeds: files of IR version 3 list their weights as inputs too."""
    return [value for value in model.graph.inputs if value.name not in model.graph.initializers]


def image_axes(value: ir.Value) -> tuple[int, int, int] | None:
    """Return positions of N, H and W in an image input; None if it has not four dims."""
    return axes_of(dims_of(value) or ())


def image_input(model: ir.Model) -> ir.Value:
    """Return the input that holds the image: the first with four dims.

    Raises:
        GraphError: there is none.
    """
    for value in graph_inputs(model):
        if image_axes(value) is not None:
            return value
    found = ", ".join(f"{value.name} {dims_of(value)}" for value in graph_inputs(model)) or "none"
    raise GraphError(f"the graph has no input of four dims to take for the image (its inputs: {found})")


def fixed_dims(model: ir.Model) -> FixedDims:
    """Return N, H and W of the image input where the file fixes them."""
    value = image_input(model)
    dims, axes = dims_of(value) or (), image_axes(value) or (0, 0, 0)
    n, h, w = (dim if isinstance(dim, int) else None for dim in (dims[axis] for axis in axes))
    return n, h, w


def choose_size(model: ir.Model, batch: int | None, height: int | None, width: int | None) -> ImageSize:
    """Return what the caller asked for; where nothing was, the dim fixed in the file; where none is, 1 x 360 x 480.

    Raises:
        GraphError: a dim is fixed in the file at another number than was asked for.
    """
    name, chosen = image_input(model).name, []
    for fixed, asked, default, word in zip(
        fixed_dims(model), (batch, height, width), (1, 360, 480), "NHW", strict=True
    ):
        if fixed is not None and asked not in (None, fixed):
            raise GraphError(f"input {name} has {word} fixed at {fixed}; {asked} was asked for: leave it out")
        chosen.append(fixed or asked or default)
    return ImageSize(*chosen)


def tensor_sizes(model: ir.Model, size: ImageSize) -> dict[str, TensorSize]:
    """Return types and shapes by value name, with the image of `size`.

    Runs ONNX's own shape inference, node by node, and computes the arithmetic on shapes (with ONNX's
    reference implementation), since crops and resizes take their sizes from it. Where a node cannot be inferred (an
    operator of another tool), the file's own annotation is used if its dims are numbers. Weights are not read.

    Returns:
        An entry for every value of the main graph; subgraphs are not entered.
    """
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in model.opset_imports.items()]
    known = _Known(opsets, model.ir_version)
    bound = _bind(model, size)
    for value in model.graph.inputs:
        known.types[str(value.name)] = _type_proto(value, bound)
    for name, value in model.graph.initializers.items():
        known.types[name] = _type_proto(value, {})
        if value.const_value is not None and value.const_value.size <= SMALL:
            known.constants[name] = value.const_value.numpy()
    for node in model.graph:
        _infer(node, known)
    names = [str(value.name) for node in model.graph for value in node.outputs]
    found = {name: _tensor_size(proto) for name, proto in known.types.items()}
    return dict.fromkeys(names, TensorSize(None, None)) | found


def _bind(model: ir.Model, size: ImageSize) -> dict[str, int]:
    """Return numbers for the names of the image's dims, which other inputs may share."""
    value = image_input(model)
    dims, axes = dims_of(value) or (), image_axes(value) or (0, 0, 0)
    numbers = (size.batch, size.height, size.width)
    return {f"{value.name}@{axis}": number for axis, number in zip(axes, numbers, strict=True)} | {
        str(dims[axis]): number for axis, number in zip(axes, numbers, strict=True) if isinstance(dims[axis], str)
    }


def _type_proto(value: ir.Value, bound: Mapping[str, int]) -> onnx.TypeProto:
    dims = dims_of(value)
    if dims is None and value.const_value is not None:
        dims = tuple(int(dim) for dim in value.const_value.shape.numpy())
    dtype = value.dtype if value.dtype is not None else value.const_value.dtype if value.const_value else None
    if dims is not None:
        dims = tuple(bound.get(f"{value.name}@{axis}", bound.get(str(dim), dim)) for axis, dim in enumerate(dims))
    return onnx.helper.make_tensor_type_proto(int(dtype or 0), dims)


def _infer(node: ir.Node, known: _Known) -> None:
    """Add the types, and the small constant results, of one node."""
    proto = ir.to_proto(node)
    names = [name for name in proto.input if name]
    types: dict[str, onnx.TypeProto] = {}
    if all(name in known.types for name in names):
        types = _infer_types(node, proto, names, known)
    for value in node.outputs:
        if not value.name:
            continue
        found = types.get(value.name)
        if found is None or _tensor_size(found).shape is None:
            found = _annotated(value, found)
        if found is not None:
            known.types[value.name] = found
    if _computable(node, names, known):
        known.constants.update(_compute(proto, names, known))


def _infer_types(node: ir.Node, proto: onnx.NodeProto, names: list[str], known: _Known) -> dict[str, onnx.TypeProto]:
    schema = schema_of(node, {opset.domain: opset.version for opset in known.opsets}.get(node.domain, 1))
    if schema is None:
        return {}
    data = {name: onnx.numpy_helper.from_array(known.constants[name]) for name in names if name in known.constants}
    expected = (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        RuntimeError,
        ValueError,
        TypeError,
    )
    try:
        types = {name: known.types[name] for name in names}
        infer = onnx.shape_inference.infer_node_outputs
        return dict(infer(schema, proto, types, data, None, known.opsets, known.ir_version))
    except expected:
        return {}


def _annotated(value: ir.Value, found: onnx.TypeProto | None) -> onnx.TypeProto | None:
    """Return the type and dims that the file declares for a value, else the type that inference found."""
    dims = dims_of(value)
    if value.dtype is not None and dims is not None and all(isinstance(dim, int) for dim in dims):
        return onnx.helper.make_tensor_type_proto(int(value.dtype), dims)
    if found is None and value.dtype is not None:
        return onnx.helper.make_tensor_type_proto(int(value.dtype), None)
    return found


def _computable(node: ir.Node, names: list[str], known: _Known) -> bool:
    """Return whether the outputs are small numbers that follow from what is known."""
    outputs = [_tensor_size(known.types[str(out.name)]).shape for out in node.outputs if out.name in known.types]
    if any(shape is None or math.prod(shape) > SMALL for shape in outputs) or len(outputs) != len(node.outputs):
        return False
    if node.op_type in ("Shape", "Size"):
        return _tensor_size(known.types[names[0]]).shape is not None if names[0] in known.types else False
    return node.domain in ("", "ai.onnx") and all(name in known.constants for name in names)


def _compute(proto: onnx.NodeProto, names: list[str], known: _Known) -> dict[str, NDArray[np.generic]]:
    """Run one node with ONNX's reference implementation; {} where that cannot."""
    from onnx.reference import ReferenceEvaluator

    if proto.op_type in ("Shape", "Size"):
        shape = _tensor_size(known.types[names[0]]).shape or ()
        feeds: dict[str, NDArray[np.generic]] = {names[0]: np.broadcast_to(np.float32(0), shape)}
    else:
        feeds = {name: known.constants[name] for name in names}
    inputs = [onnx.helper.make_value_info(name, known.types[name]) for name in dict.fromkeys(names)]
    outputs = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in proto.output]
    graph = onnx.helper.make_graph([proto], "one node", inputs, outputs)
    try:
        model = onnx.helper.make_model(graph, opset_imports=known.opsets, ir_version=known.ir_version)
        results = ReferenceEvaluator(model).run(None, feeds)
    except Exception:  # one that the reference cannot run leaves its result unknown
        return {}
    return {name: np.asarray(result) for name, result in zip(proto.output, results, strict=True)}


def _tensor_size(proto: onnx.TypeProto) -> TensorSize:
    tensor = proto.tensor_type
    dtype = ir.DataType(tensor.elem_type) if tensor.elem_type else None
    if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return TensorSize(dtype, None)
    return TensorSize(dtype, tuple(dim.dim_value for dim in tensor.shape.dim))
