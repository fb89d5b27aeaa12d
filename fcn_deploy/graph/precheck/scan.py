"""Check an ONNX file before a library opens it: the libraries crash, hang or read other files on what is refused here.

The file is read as protobuf fields, so that neither onnx nor the weights are loaded, in a time that grows with the
number of nodes and weights. Field numbers and types are those of onnx/onnx.proto.
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.precheck.arity import LEAST_INPUTS
from fcn_deploy.graph.precheck.finite import MULTIPLYING, Weight, check_numbers
from fcn_deploy.graph.precheck.functions import MAIN, Operator, check_functions
from fcn_deploy.graph.precheck.loops import Loop, check_loops
from fcn_deploy.graph.precheck.tensors import BITS, TensorHeader, check_tensor, read_tensor, shown_dims
from fcn_deploy.graph.precheck.wire import BYTES, Buffer, Field, WireError, fields, message, signed, text
from fcn_deploy.model_file import require_file
from fcn_deploy.system.apart import reads
from fcn_deploy.system.files import reading

MOST_NODES = 50_000  # the largest networks have a tenth; libraries take minutes of memory and time for more
DEEPEST = 20  # graphs in graphs: an If in a Loop in an If
MOST_VERSION = 1000  # of a format or a set of operators; a file of a later version than onnx knows is refused later
MOST_PIXELS = 1 << 31  # of an input: a square of 46,000 pixels
COMPLEX = (14, 15)
# Fields of ModelProto and GraphProto; bindings raise from wherever they first meet a text that is not UTF-8.
GRAPH, METADATA, FUNCTION = 7, 14, 25
MODEL_TEXTS, GRAPH_TEXTS = (2, 3, 4, 6), (2, 10)
NODE, INITIALIZER, INPUT, OUTPUT, VALUE = 1, 5, 11, 12, 13


def scan(path: Path, *, show: bool = False) -> dict[str, Path]:
    """Check the file, and the files that hold its weights.

    Args:
        show: whether the file is only shown, so that its weights may be NaN or infinite.

    Returns:
        Name of each external data file, as the ONNX file has it -> that file, links followed.

    Raises:
        GraphError: missing, no ONNX model, without inputs, outputs or nodes, with dims that do not fit the data, with
            external data that `check_part` refuses, larger than any network, or with weights that are no numbers.
    """
    require_file(path)
    scanner = _Scanner(path)
    try:
        with reading(path, GraphError), path.open("rb") as stream:
            if not stream.seek(0, 2):  # nothing to map
                scanner.model(b"")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                scanner.model(data)
                if not show:
                    check_numbers(path, data, scanner.weights())
    except WireError as error:
        raise GraphError(f"{path} cannot be read as ONNX ({error}); export or copy it again") from error
    reads(*scanner.files.values())
    return scanner.files


class _Scanner:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, Path] = {}
        self._nodes = 0
        self._tensors = dict[str, Weight]()
        self._multiplied = set[str]()
        self._loops = list[Loop]()
        self._calls = {MAIN: Counter[Operator]()}
        self._calling = self._calls[MAIN]

    def weights(self) -> list[Weight]:
        """Return the constants that are multiplied with what the network computes, or added to it."""
        return [self._tensors[name] for name in sorted(self._multiplied & self._tensors.keys())]

    def model(self, data: Buffer) -> None:
        ports = {NODE: 0, INPUT: 0, OUTPUT: 0}
        versions = list[int]()
        for each in fields(data, 0, len(data)):
            if each.number == 1:  # ir_version
                versions.append(signed(each.value))
            elif each.number == 8:  # opset_import, whose version is field 2
                versions += [signed(part.value) for part in message(data, each) if part.number == 2] or [0]
            elif each.number == GRAPH:
                self._main_graph(data, each, ports)
            elif each.number == FUNCTION:
                self._function(data, each)
            elif each.number in MODEL_TEXTS:
                text(data, each)
            elif each.number == METADATA:
                for part in message(data, each):
                    text(data, part)
        check_functions(self.path, self._calls, MOST_NODES)
        check_loops(self.path, data, self._loops, self._tensors)
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

    def _main_graph(self, data: Buffer, graph: Field, ports: dict[int, int]) -> None:
        """Check the graph, and count what `ports` names by field number."""
        for part in message(data, graph):
            if part.number in ports:
                ports[part.number] += 1
            if part.number in (INPUT, OUTPUT, VALUE):
                found = _value(data, part)
                if part.number == INPUT:
                    self._check_input(*found)
            elif part.number in GRAPH_TEXTS:
                text(data, part)
        self._check_count(ports[NODE])  # before each node is read, which takes a second for 100,000
        self._graph(data, graph, 0)

    def _function(self, data: Buffer, function: Field) -> None:
        """Check a function's nodes."""
        words = {10: "", 1: "", 13: ""}  # domain, name, overload
        for part in message(data, function):
            if part.number in words:
                words[part.number] = text(data, part)
        name = Operator(*words.values())
        if name in self._calls:
            raise GraphError(f"{self.path} is damaged: it defines the function {name.op_type} twice; export it again")
        self._calling = self._calls[name] = Counter()
        for part in message(data, function):
            if part.number == 7:
                self._node(data, part, 0)
        self._calling = self._calls[MAIN]

    def _check_count(self, nodes: int) -> None:
        if nodes > MOST_NODES:
            raise GraphError(f"{self.path} has more than {MOST_NODES} nodes, which no network has")

    def _keep(self, name: str, tensor: TensorHeader) -> None:
        """Check a tensor, and keep where its data lies."""
        found = check_tensor(self.path, tensor)
        if found is not None:
            self.files[found[0]] = found[1]
        self._tensors[name] = Weight(tensor, None if found is None else found[1])

    def _check_input(self, name: str, dtype: int | None, dims: list[int]) -> None:
        """Raise GraphError for an input that is no image: a side of 0 or of more than `MOST_PIXELS`, or texts."""
        pixels = math.prod(dim for dim in dims if dim > 0)
        if len(dims) == 4 and (0 in dims or pixels > MOST_PIXELS):
            raise GraphError(
                f"{self.path} has an input {name} of the dims {shown_dims(dims)}, which are no batch of images"
            )
        if dtype is not None and len(dims) == 4 and (dtype not in BITS or dtype in COMPLEX):
            raise GraphError(f"{self.path} has an input {name} of texts or complex numbers, which are no images")

    def _graph(self, data: Buffer, graph: Field, depth: int) -> None:
        if depth > DEEPEST:
            raise GraphError(f"{self.path} has graphs in graphs, more than {DEEPEST} deep, which no network has")
        made = set[str]()
        for part in message(data, graph):
            names = list[str]()
            if part.number == NODE:
                names = self._node(data, part, depth)
            elif part.number == INITIALIZER:
                tensor = read_tensor(data, part)
                self._keep(tensor.name, tensor)
                names = [tensor.name]
            for name in filter(None, names):
                if name in made:
                    raise GraphError(f"{self.path} is damaged: it makes {name} twice; export it again")
                made.add(name)

    def _node(self, data: Buffer, node: Field, depth: int) -> list[str]:
        """Check a node's attributes; return the names of its results."""
        self._nodes += 1
        self._check_count(self._nodes)
        words: dict[int, list[str]] = {1: [], 2: [], 3: [], 4: [], 7: [], 8: []}
        stored = list[TensorHeader]()
        for part in message(data, node):
            if part.number in words:
                words[part.number].append(text(data, part))
            elif part.number == 5:
                for value in message(data, part):  # of an attribute
                    if value.number in (5, 10):
                        stored.append(read_tensor(data, value))
                    elif value.number in (6, 11):
                        self._graph(data, value, depth + 1)
        inputs, outputs, name, op_type, domain, overload = words.values()
        self._calling[Operator(*("".join(each[-1:]) for each in (domain, op_type, overload)))] += 1
        self._check_operands(inputs, outputs, name, op_type, domain)
        for tensor in stored:
            self._keep(outputs[0], tensor)
        if op_type[-1:] == ["Loop"]:
            self._loops.append(Loop("".join(name[-1:]), "".join(inputs[:1])))
        if op_type[-1:] and op_type[-1] in MULTIPLYING:
            self._multiplied.update(inputs)
        return outputs

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


def _value(data: Buffer, value: Field) -> tuple[str, int | None, list[int]]:
    """Return a value's name, element type (None of what is no tensor) and fixed dims, -1 for one that varies."""
    name, dtype, dims = "", None, list[int]()
    for part in message(data, value):
        if part.number == 1:
            name = text(data, part)
        for tensor in _inner(data, part, 2, 1):  # type, tensor_type
            for each in message(data, tensor):
                if each.number == 1:
                    dtype = each.value
                for dim in _inner(data, each, 2, 1):  # shape, dim
                    found = [-1 if size.kind == BYTES else signed(size.value) for size in message(data, dim)]
                    dims.append(found[-1] if found else -1)
                    _check_texts(data, dim)
    return name, dtype, dims


def _inner(data: Buffer, each: Field, outer: int, inner: int) -> Iterator[Field]:
    """Yield the fields `inner` of a field, if its number is `outer`."""
    if each.number == outer:
        yield from (part for part in message(data, each) if part.number == inner)


def _check_texts(data: Buffer, each: Field) -> None:
    for part in message(data, each):
        if part.kind == BYTES:
            text(data, part)
