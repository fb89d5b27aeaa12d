"""Check an ONNX file before a library opens it: the libraries crash, hang or read other files on what is refused here.

The file is read as protobuf fields, so that neither onnx nor the weights are loaded, in a time that grows with the
number of nodes and weights. Field numbers and types are those of onnx/onnx.proto.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from pathlib import Path

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.precheck.arity import LEAST_INPUTS
from fcn_deploy.graph.precheck.external_data import DataPart, check_part
from fcn_deploy.graph.precheck.tensors import BITS, INT32S, STRING, TYPED, TensorHeader, read_tensor
from fcn_deploy.graph.precheck.wire import Buffer, Field, WireError, fields, message, signed, text
from fcn_deploy.model_file import require_file

MOST_NODES = 50_000  # the largest networks have a tenth; libraries take minutes of memory and time for more
DEEPEST = 20  # graphs in graphs: an If in a Loop in an If
MOST_VERSION = 1000  # of a format or a set of operators; a file of a later version than onnx knows is refused later
MOST_PIXELS = 1 << 31  # of an input: a square of 46,000 pixels
COMPLEX = (14, 15)
MOST_DIMS = 32  # of an array of NumPy 1


def scan(path: Path) -> dict[str, Path]:
    """Check the file, and the files that hold its weights.

    Returns:
        Name of each external data file, as the ONNX file has it -> that file, links followed.

    Raises:
        GraphError: missing, no ONNX model, without inputs, outputs or nodes, with dims that do not fit the data, with
            external data that `check_part` refuses, or larger than any network.
    """
    require_file(path)
    scanner = _Scanner(path)
    try:
        with path.open("rb") as stream:
            if not stream.seek(0, 2):  # nothing to map
                scanner.model(b"")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                scanner.model(data)
    except (WireError, OSError) as error:
        raise GraphError(f"{path} cannot be read as ONNX ({error}); export or copy it again") from error
    return scanner.files


class _Scanner:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, Path] = {}
        self._nodes = 0

    def model(self, data: Buffer) -> None:
        ports = {1: 0, 11: 0, 12: 0}  # nodes, inputs and outputs of the main graph
        versions = list[int]()
        for each in fields(data, 0, len(data)):
            if each.number == 1:  # ir_version
                versions.append(signed(each.value))
            elif each.number == 8:  # opset_import, whose version is field 2
                versions += [signed(part.value) for part in message(data, each) if part.number == 2] or [0]
            elif each.number == 7:  # graph
                for part in message(data, each):
                    if part.number in ports:
                        ports[part.number] += 1
                    if part.number == 11:
                        self._check_input(*_input(data, part))
                self._graph(data, each, 0)
            elif each.number == 25:  # functions
                for part in message(data, each):
                    if part.number == 7:
                        self._node(data, part, 0)
        if not all(ports.values()):
            raise GraphError(
                f"{self.path} is not an ONNX model: it has no inputs, outputs or nodes; export or copy it again"
            )
        if len(versions) < 2 or not all(1 <= version <= MOST_VERSION for version in versions):
            listed = ", ".join(map(str, versions)) or "none"
            raise GraphError(
                f"{self.path} is damaged: the versions of its format and operators are {listed}; expected two or more "
                f"from 1 to {MOST_VERSION}; export it again"
            )

    def _check_input(self, name: str, dtype: int | None, dims: list[int]) -> None:
        """Raise GraphError for an input that is no image: a side of 0 or of more than `MOST_PIXELS`, or texts."""
        pixels = math.prod(dim for dim in dims if dim > 0)
        if len(dims) == 4 and (0 in dims or pixels > MOST_PIXELS):
            raise GraphError(
                f"{self.path} has an input {name} of the dims {_shown(dims)}, which are no batch of images"
            )
        if dtype is not None and len(dims) == 4 and (dtype not in BITS or dtype in COMPLEX):
            raise GraphError(f"{self.path} has an input {name} of texts or complex numbers, which are no images")

    def _graph(self, data: Buffer, graph: Field, depth: int) -> None:
        if depth > DEEPEST:
            raise GraphError(f"{self.path} has graphs in graphs, more than {DEEPEST} deep, which no network has")
        made = set[str]()
        for part in message(data, graph):
            names = list[str]()
            if part.number == 1:
                names = self._node(data, part, depth)
            elif part.number == 5:  # initializer
                tensor = read_tensor(data, part)
                self._check(tensor)
                names = [tensor.name]
            for name in filter(None, names):
                if name in made:
                    raise GraphError(f"{self.path} is damaged: it makes {name} twice; export it again")
                made.add(name)

    def _node(self, data: Buffer, node: Field, depth: int) -> list[str]:
        """Check a node's attributes; return the names of its results."""
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise GraphError(f"{self.path} has more than {MOST_NODES} nodes, which no network has")
        words: dict[int, list[str]] = {1: [], 2: [], 3: [], 4: [], 7: []}  # inputs, outputs, name, operator, domain
        for part in message(data, node):
            if part.number in words:
                words[part.number].append(text(data, part))
            elif part.number == 5:
                for value in message(data, part):  # of an attribute
                    if value.number in (5, 10):
                        self._check(read_tensor(data, value))
                    elif value.number in (6, 11):
                        self._graph(data, value, depth + 1)
        self._check_operands(*words.values())
        return words[2]

    def _check_operands(
        self, inputs: list[str], outputs: list[str], name: list[str], operator: list[str], domain: list[str]
    ) -> None:
        """Raise GraphError if a node has too few inputs or no outputs: some libraries read past the end of the list."""
        op_type = "".join(operator[-1:])
        least = LEAST_INPUTS.get(op_type, 1) if "".join(domain[-1:]) in ("", "ai.onnx") else 0
        if not all(outputs[:1]) or not outputs or len(inputs) < least or not all(inputs[: min(least, 2)]):
            raise GraphError(
                f"{self.path} is damaged: node {''.join(name[-1:])}, a {op_type}, has {sum(map(bool, inputs))} inputs "
                f"and {sum(map(bool, outputs))} outputs; expected {least} and 1 at least"
            )

    def _check(self, tensor: TensorHeader) -> None:
        """Raise GraphError if a tensor's dims do not fit its data, wherever that is."""
        name = tensor.name or "a constant"
        if tensor.dtype in (0, STRING) or len(tensor.dims) > MOST_DIMS:
            what = (
                f"{len(tensor.dims)} dims" if len(tensor.dims) > MOST_DIMS else "texts" if tensor.dtype else "no type"
            )
            raise GraphError(f"{self.path} is damaged: the weight {name} has {what}; export it again")
        if any(dim < 0 for dim in tensor.dims):
            raise GraphError(
                f"{self.path} is damaged: {name} has the dims {_shown(tensor.dims)}; expected none below 0; export it "
                "again"
            )
        elements = math.prod(tensor.dims)
        nbytes = -(-elements * BITS[tensor.dtype] // 8) if tensor.dtype in BITS else None
        if tensor.external:
            self._check_external(tensor, name, nbytes)
            return
        found, expected, unit = tensor.raw, nbytes, "bytes"
        if tensor.raw is None:
            where, each = TYPED.get(tensor.dtype, (INT32S, 1))
            packed = BITS.get(tensor.dtype, 8) < 8  # several elements in a number
            found, unit = tensor.typed.get(where, 0), "numbers"
            expected = None if packed or tensor.dtype not in BITS else each * elements
        if expected is not None and found != expected:
            raise GraphError(
                f"{self.path} is damaged: {name} has the dims {_shown(tensor.dims)}, which are {_amount(expected)} "
                f"{unit}, and {found} are in the file; export it again"
            )

    def _check_external(self, tensor: TensorHeader, name: str, nbytes: int | None) -> None:
        entries = tensor.entries
        part = DataPart(entries.get("location", ""), entries.get("offset"), entries.get("length"))
        self.files[part.location] = check_part(self.path, name, part, nbytes)


def _input(data: Buffer, value: Field) -> tuple[str, int | None, list[int]]:
    """Return an input's name, element type (None of what is no tensor) and fixed dims, -1 for one that varies."""
    name, dtype, dims = "", None, list[int]()
    for part in message(data, value):
        if part.number == 1:
            name = text(data, part)
        for tensor in _inner(data, part, 2, 1):  # type, tensor_type
            for each in message(data, tensor):
                if each.number == 1:
                    dtype = each.value
                for dim in _inner(data, each, 2, 1):  # shape, dim
                    found = [signed(size.value) for size in message(data, dim) if size.number == 1]
                    dims.append(found[-1] if found else -1)
    return name, dtype, dims


def _inner(data: Buffer, each: Field, outer: int, inner: int) -> Iterator[Field]:
    """Yield the fields `inner` of a field, if its number is `outer`."""
    if each.number == outer:
        yield from (part for part in message(data, each) if part.number == inner)


def _shown(dims: list[int]) -> str:
    return f"[{', '.join(map(str, dims[:8]))}{', ...' if len(dims) > 8 else ''}]"


def _amount(number: int) -> str:
    return str(number) if number < 1 << 63 else "more than 2^63"
