"""Read and check the header of a stored tensor: its name, type, dims, and how much data it has, which is not read.

Field numbers and types are those of TensorProto in onnx/onnx.proto.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.precheck.external_data import DataPart, check_part
from fcn_deploy.graph.precheck.wire import Buffer, Field, count, message, text, varints

EXTERNAL = 1  # the data location of a tensor whose data is in another file
MOST_DIMS = 32  # of an array of NumPy 1
STRING = 8  # TensorProto.DataType of texts
# Bits of an element by TensorProto.DataType.
BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16,
    17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
}  # fmt: skip
# TensorProto's fields of typed data -> bytes of one number in them, 0 for varints.
FLOATS, INT32S, INT64S, DOUBLES, UINT64S = 4, 5, 7, 10, 11
WIDTHS = {FLOATS: 4, INT32S: 0, INT64S: 0, DOUBLES: 8, UINT64S: 0}
# The field and the numbers for each element where a tensor has no raw data; the other types are in int32_data.
TYPED = {1: (FLOATS, 1), 7: (INT64S, 1), 11: (DOUBLES, 1), 12: (UINT64S, 1), 13: (UINT64S, 1),
         14: (FLOATS, 2), 15: (DOUBLES, 2)}  # fmt: skip


@dataclass
class TensorHeader:
    """One tensor.

    Attributes:
        raw: bytes of its raw data, None without any; typed: numbers by the field that they are in.
        parts: the fields of its data, wherever they are in this file.
        external: whether its data is in another file, which `entries` (location, offset, length) name.
    """

    name: str = ""
    dtype: int = 0
    dims: list[int] = field(default_factory=list)
    raw: int | None = None
    typed: dict[int, int] = field(default_factory=dict)
    parts: list[Field] = field(default_factory=list)
    external: bool = False
    entries: dict[str, str] = field(default_factory=dict)


def read_tensor(data: Buffer, stored: Field) -> TensorHeader:
    """Return the header of the TensorProto in a field; WireError if it is none."""
    tensor = TensorHeader()
    for part in message(data, stored):
        if part.number == 1:
            tensor.dims += varints(data, part)
        elif part.number == 2:
            tensor.dtype = part.value
        elif part.number == 8:
            tensor.name = text(data, part)
        elif part.number == 9:
            tensor.raw = part.end - part.start
            tensor.parts.append(part)
        elif part.number in WIDTHS:
            found = count(data, part, WIDTHS[part.number])
            tensor.typed[part.number] = tensor.typed.get(part.number, 0) + found
            tensor.parts.append(part)
        elif part.number == 13:
            entry = {each.number: text(data, each) for each in message(data, part) if each.number in (1, 2)}
            tensor.entries[entry.get(1, "")] = entry.get(2, "")
        elif part.number == 14:
            tensor.external = part.value == EXTERNAL
    return tensor


def check_tensor(path: Path, tensor: TensorHeader) -> tuple[str, Path] | None:
    """Return the name and the path of the file that holds a tensor's data, None where the ONNX file `path` does.

    Raises:
        GraphError: no type, or dims that do not fit the data, wherever that is.
    """
    name = tensor.name or "a constant"
    damaged = f"{path} is damaged: the weight {name} has"
    if tensor.dtype in (0, STRING) or len(tensor.dims) > MOST_DIMS:
        many = f"{len(tensor.dims)} dims" if len(tensor.dims) > MOST_DIMS else ""
        raise GraphError(f"{damaged} {many or ('texts' if tensor.dtype else 'no type')}; export it again")
    if any(dim < 0 for dim in tensor.dims):
        raise GraphError(f"{damaged} the dims {shown_dims(tensor.dims)}; expected none below 0; export it again")
    elements = math.prod(tensor.dims)
    nbytes = -(-elements * BITS[tensor.dtype] // 8) if tensor.dtype in BITS else None
    if tensor.external:
        entries = tensor.entries
        part = DataPart(entries.get("location", ""), entries.get("offset"), entries.get("length"))
        return part.location, check_part(path, name, part, nbytes)
    where, each = TYPED.get(tensor.dtype, (INT32S, 1))
    if any(count for number, count in tensor.typed.items() if number != where or tensor.raw is not None):
        raise GraphError(f"{damaged} data of two kinds; export it again")
    found, expected, unit = tensor.raw, nbytes, "bytes"
    if tensor.raw is None:
        packed = BITS.get(tensor.dtype, 8) < 8  # several elements in a number
        found, unit = tensor.typed.get(where, 0), "numbers"
        expected = None if packed or tensor.dtype not in BITS else each * elements
    if expected is not None and found != expected:
        amount = expected if expected < 1 << 63 else "more than 2^63"
        raise GraphError(
            f"{damaged} the dims {shown_dims(tensor.dims)}, which are {amount} {unit}, and {found} are in the file; "
            "export it again"
        )
    return None


def shown_dims(dims: list[int]) -> str:
    """Return dims as a message shows them, eight at most."""
    return f"[{', '.join(map(str, dims[:8]))}{', ...' if len(dims) > 8 else ''}]"
