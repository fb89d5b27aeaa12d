"""Estimate the memory that an inference takes on a CPU, from the graph: a value lives until its last reader has run.

The runtimes keep what they took from the system in blocks, and a value fits in a block that is large enough or has one
of its own; so the sum of the blocks is more than what is alive at once, and is what is estimated. Constants, which are
in memory before the first image, are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fcn_deploy.errors import FcnDeployError
from fcn_deploy.graph.precheck.skeleton import skeleton
from fcn_deploy.vocabulary import Shape

if TYPE_CHECKING:
    import onnx_ir as ir

    from fcn_deploy.graph.sizes import TensorSize

# Results of these take the place of an operand that nothing else reads any more.
IN_PLACE = frozenset({
    "Abs", "BatchNormalization", "Cast", "Clip", "Div", "Dropout", "Elu", "Erf", "Exp", "Flatten", "HardSigmoid",
    "HardSwish", "Identity", "LeakyRelu", "Log", "Mul", "Neg", "PRelu", "Pow", "Relu", "Reshape", "Round", "Sigmoid",
    "Softmax", "Sqrt", "Squeeze", "Sub", "Tanh", "Unsqueeze",
})  # fmt: skip
# What may be between a layer on 8-bit codes and its Quantize.
PASSING = frozenset({"BatchNormalization", "Clip", "Identity", "Relu"})
# Types of values, as onnx.proto numbers them: FP32, FP16 and BF16; codes of 8 bits.
FLOATS, UINT8 = (1, 10, 16), 2


@dataclass(frozen=True)
class Kernels:
    """How a runtime holds what it computes.

    Attributes:
        float_bytes: of each float, whatever its type in the file.
        sums_in_place: whether a sum takes the place of an operand.
        columns: whether a transposed convolution first makes a column for each input pixel, and adds them up.
        reorders: whether floats are brought into their usual order, out of that of convolutions, to be quantised.
        own_weights: whether the first inference copies the weights into an order of the kernels' own.
    """

    float_bytes: int = 4
    sums_in_place: bool = False
    columns: bool = True
    reorders: bool = True
    own_weights: bool = False


class GraphMemory:
    """The memory of inferences of one graph; call it with (N, H, W). What that needs is imported by then."""

    def __init__(self, opened: Path | bytes, kernels: Kernels) -> None:
        """Take an ONNX file, which is read when the first estimate is asked for, or its bytes."""
        self._opened = opened if isinstance(opened, Path) else skeleton(opened)
        self._kernels = kernels

    def __call__(self, shape: Shape) -> int | None:
        """Return the bytes that an inference takes; None if the size of one of its values cannot be inferred."""
        try:
            if isinstance(self._opened, Path):
                self._opened = skeleton(self._opened)
            return peak_bytes(self._opened, shape, self._kernels)
        except (OSError, ValueError, ImportError, FcnDeployError):
            return None


def peak_bytes(graph: bytes, shape: Shape, kernels: Kernels) -> int | None:
    """Return the bytes that an inference of (N, H, W) takes; None if the size of one of its values cannot be inferred.

    Args:
        graph: of an ONNX file, with or without the data of its weights.

    Raises:
        ValueError, FcnDeployError: it cannot be read, or has no input for images.
        ImportError: onnx is not installed.
    """
    import onnx
    import onnx_ir as ir

    from fcn_deploy.graph.sizes import ImageSize, tensor_sizes

    model = ir.from_proto(onnx.ModelProto.FromString(graph))
    sizes, nodes = tensor_sizes(model, ImageSize(*shape)), _computed(model)
    if any(sizes[str(value.name)].shape is None for node in nodes for value in node.outputs if value.name):
        return None
    weights = model.graph.initializers.values() if kernels.own_weights else ()
    values = _Values(nodes, sizes, kernels)
    return _play(nodes, values, kernels) + sum(map(values.nbytes, weights))


def _computed(model: ir.Model) -> list[ir.Node]:
    """Return the nodes whose results depend on the inputs; those of all others are constants."""
    varying = {value for value in model.graph.inputs if value.name not in model.graph.initializers}
    nodes = []
    for node in model.graph:
        if any(value in varying for value in node.inputs):
            nodes.append(node)
            varying.update(node.outputs)
    return nodes


class _Values:
    """How many bytes values and what their kernels work on take."""

    def __init__(self, nodes: Sequence[ir.Node], sizes: Mapping[str, TensorSize], kernels: Kernels) -> None:
        self._sizes, self._kernels = sizes, kernels
        self._codes = self._find_codes(nodes)

    def nbytes(self, value: ir.Value) -> int:
        """Return the bytes of a value; of codes those of integers."""
        size = self._sizes[str(value.name)]
        float_bytes = 1 if value in self._codes else self._kernels.float_bytes
        return math.prod(size.shape or (0,)) * float_bytes if size.dtype in FLOATS else size.nbytes

    def renames(self, node: ir.Node) -> bool:
        """Return whether a node's result is the codes before it, which it only gives another meaning."""
        value = {"DequantizeLinear": node.outputs[0], "QuantizeLinear": node.inputs[0]}.get(node.op_type)
        return value in self._codes

    def _is_code(self, value: ir.Value | None) -> bool:
        """Return whether a value has the type of codes that kernels compute with: signed ones they make floats of."""
        return value is not None and self._sizes[str(value.name)].dtype == UINT8

    def _find_codes(self, nodes: Sequence[ir.Node]) -> set[ir.Value]:
        """Return the floats that are never in memory: what lies between a Dequantize and a Quantize, on codes alone."""
        quantized = self._find_quantized(nodes)
        computed = {value for node in nodes for value in node.outputs}
        given: set[ir.Value] = set()
        codes: set[ir.Value] = set()
        for node in nodes:
            known = given | codes if node.op_type in PASSING else given
            operands = [value for value in node.inputs if value in computed]
            if node.op_type == "DequantizeLinear" and self._is_code(node.inputs[0]):
                given.update(node.outputs)
            elif operands and known.issuperset(operands) and quantized.issuperset(node.outputs):
                codes.update(node.outputs)
        return codes | {value for value in given if all(use.node.outputs[0] in codes for use in value.uses())}

    def _find_quantized(self, nodes: Sequence[ir.Node]) -> set[ir.Value]:
        """Return the values that are read to make codes of them alone."""
        found: set[ir.Value] = set()
        for node in reversed(nodes):
            readers = [use.node for value in node.outputs for use in value.uses()]
            ends = [reader for reader in readers if reader.op_type not in PASSING or reader.outputs[0] not in found]
            if readers and all(end.op_type == "QuantizeLinear" and self._is_code(end.outputs[0]) for end in ends):
                found.update(node.outputs)
        return found

    def scratch(self, node: ir.Node) -> int:
        """Return the bytes that a node works on besides its operands and results."""
        first = node.inputs[0]
        if node.op_type == "QuantizeLinear" and self._kernels.reorders and first is not None and first.producer():
            return self.nbytes(first)
        if node.op_type != "ConvTranspose" or not self._kernels.columns:
            return 0
        data, weights = (self._sizes[str(value.name)].shape or (0,) for value in node.inputs[:2] if value is not None)
        return self._kernels.float_bytes * data[0] * math.prod(data[2:]) * math.prod(weights[1:])


def _play(nodes: Sequence[ir.Node], values: _Values, kernels: Kernels) -> int:
    """Take and give back memory as an inference does; return what was taken from the system."""
    arena = _Arena()
    places: dict[ir.Value, _Piece] = {}
    in_place = IN_PLACE | {"Add", "Sum"} if kernels.sums_in_place else IN_PLACE
    steps = _steps(nodes, values)
    last = {value: node for node, operands in steps for value in operands}
    for node, operands in steps:
        results = [value for value in node.outputs if value.name]
        done = {value: places[value] for value in operands if value in places and last[value] is node}
        done = {value: piece for value, piece in done.items() if not value.is_graph_output()}
        for value in results:
            size = values.nbytes(value)
            heir = next((old for old, piece in done.items() if piece.size == size), None)
            reused = heir is not None and node.op_type in in_place
            places[value] = done.pop(heir) if heir is not None and reused else arena.take(size)
        arena.give_back(arena.take(values.scratch(node)))
        done |= {value: places[value] for value in results if value not in last and not value.is_graph_output()}
        for piece in done.values():
            arena.give_back(piece)
    return arena.total


def _steps(nodes: Sequence[ir.Node], values: _Values) -> list[tuple[ir.Node, list[ir.Value]]]:
    """Return the nodes that compute, and the values that each reads, by the names that they were made under."""
    made: dict[ir.Value, ir.Value] = {}
    steps = []
    for node in nodes:
        operands = [made.get(value, value) for value in node.inputs if value is not None]
        if values.renames(node):
            made[node.outputs[0]] = operands[0]
        else:
            steps.append((node, operands))
    return steps


@dataclass(frozen=True)
class _Piece:
    """A part of a block."""

    block: int
    start: int
    size: int


class _Arena:
    """Memory in blocks that are cut to what is asked for, and kept."""

    def __init__(self) -> None:
        self._blocks: list[int] = []
        self._used: list[_Piece] = []

    @property
    def total(self) -> int:
        return sum(self._blocks)

    def take(self, size: int) -> _Piece:
        """Use the smallest gap that holds `size`; a new block if there is none."""
        gap = min((gap for gap in self._gaps() if gap.size >= size), key=lambda gap: gap.size, default=None)
        if gap is None:
            gap = _Piece(len(self._blocks), 0, size)
            self._blocks.append(size)
        piece = _Piece(gap.block, gap.start, size)
        self._used.append(piece)
        return piece

    def give_back(self, piece: _Piece) -> None:
        self._used.remove(piece)

    def _gaps(self) -> Iterator[_Piece]:
        for block, size in enumerate(self._blocks):
            start = 0
            used = sorted((piece.start, piece.start + piece.size) for piece in self._used if piece.block == block)
            for first, behind in [*used, (size, size)]:
                if first > start:
                    yield _Piece(block, start, first - start)
                start = behind
