"""Find the types of an ONNX file's weights and the keys of its metadata without loading it."""

from __future__ import annotations

import mmap
from pathlib import Path

from fcn_deploy.graph.precheck.scan import GRAPH, INITIALIZER
from fcn_deploy.graph.precheck.tensors import read_tensor
from fcn_deploy.graph.precheck.wire import WireError, fields, message, text

METADATA = 14  # the field of a ModelProto
# Numbers of types in onnx.proto, which are those of `onnx_ir.DataType`; FP8 are E4M3FN and E5M2.
INT8, BF16 = 3, 16
FP8 = frozenset({17, 19})


def stored_types(path: Path) -> frozenset[int]:
    """Return the numbers of the types of the initializers; empty for a file that is no ONNX model."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            graphs = [each for each in fields(data, 0, len(data)) if each.number == GRAPH]
            parts = [part for graph in graphs for part in message(data, graph) if part.number == INITIALIZER]
            return frozenset(read_tensor(data, part).dtype for part in parts)
    except (WireError, OSError, ValueError):  # what opens the file says what is wrong with it
        return frozenset()


def metadata_keys(path: Path) -> frozenset[str]:
    """Return the keys of the metadata; empty for a file that is no ONNX model."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            entries = [each for each in fields(data, 0, len(data)) if each.number == METADATA]
            return frozenset(text(data, part) for entry in entries for part in message(data, entry) if part.number == 1)
    except (WireError, OSError, ValueError):
        return frozenset()
