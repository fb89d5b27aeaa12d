"""Read an ONNX file without its weights: what is left is small, and enough to infer shapes."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fcn_deploy.graph.precheck.scan import GRAPH, INITIALIZER, NODE
from fcn_deploy.graph.precheck.tensors import WIDTHS
from fcn_deploy.graph.precheck.wire import BYTES, Buffer, fields

ATTRIBUTE, TENSOR, RAW_DATA = 5, 5, 9  # fields of NodeProto, AttributeProto and TensorProto
LEAST = 4096  # bytes of data that are left out; what is smaller may be a shape
_DATA: Mapping[int, Any] = dict.fromkeys((RAW_DATA, *WIDTHS))
_TREE: Mapping[int, Any] = {GRAPH: {INITIALIZER: _DATA, NODE: {ATTRIBUTE: {TENSOR: _DATA}}}}


def skeleton(opened: Path | bytes) -> bytes:
    """Return a file, or its bytes, without the data of its weights, which is not read.

    Raises:
        OSError, WireError: the file cannot be read, or is no protobuf message.
    """
    if isinstance(opened, bytes):
        return _copied(opened, 0, len(opened), _TREE)
    with opened.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _copied(data, 0, len(data), _TREE)


def _copied(data: Buffer, start: int, end: int, tree: Mapping[int, Any]) -> bytes:
    """Copy a message without the fields that `tree` leads to, by number, where they are large."""
    parts, behind = [], start
    for each in fields(data, start, end):
        if each.kind != BYTES or each.number not in tree:
            parts.append(data[behind : each.end])
        elif (inner := tree[each.number]) is not None:
            message = _copied(data, each.start, each.end, inner)
            parts.append(_varint(each.number << 3 | BYTES) + _varint(len(message)) + message)
        elif each.end - each.start < LEAST:
            parts.append(data[behind : each.end])
        behind = each.end
    return b"".join(parts)


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
