"""Refuse weights that are NaN or infinite: the labels that they give look like any others.

They are read in pieces, by the bits of their exponents, once for each state of a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.precheck.tensors import INT32S, TensorHeader
from fcn_deploy.graph.precheck.wire import BYTES, Buffer, varints

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Operators whose constants are weights, biases and scales. Other constants may be infinite, as an attention's mask is.
MULTIPLYING = frozenset({
    "Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "InstanceNormalization", "QuantizeLinear",
    "DequantizeLinear", "QLinearConv", "QLinearMatMul",
})  # fmt: skip
# By TensorProto.DataType: NumPy's unsigned type, and the bits of the exponent, which NaN and infinity have all set.
EXPONENTS = {1: ("<u4", 0x7F800000), 10: ("<u2", 0x7C00), 11: ("<u8", 0x7FF << 52), 16: ("<u2", 0x7F80)}
PIECE_BYTES = 1 << 17  # with its masked copy in the cache of a core: 8 times as fast as pieces of 1 MB


class Weight(NamedTuple):
    """A constant, and the file that holds its data where that is not the ONNX file."""

    tensor: TensorHeader
    file: Path | None


_sound: set[tuple[object, ...]] = set()


def check_numbers(path: Path, data: Buffer, weights: Sequence[Weight]) -> None:
    """Raise GraphError naming a weight of the ONNX file `path`, whose bytes are `data`, that is no number."""
    files = {path, *(weight.file for weight in weights if weight.file is not None)}
    state = tuple(
        (str(file), file.stat().st_ino, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(files)
    )
    if state in _sound:
        return
    for weight in weights:
        if not _is_finite(data, weight):
            name = weight.tensor.name or "a constant"
            raise GraphError(f"{path}: {name} holds NaN or infinite numbers; export from a sound checkpoint")
    _sound.add(state)


def _is_finite(data: Buffer, weight: Weight) -> bool:
    if weight.tensor.dtype not in EXPONENTS:
        return True
    _, exponent = EXPONENTS[weight.tensor.dtype]
    return not any(int((piece & exponent).max(initial=0)) == exponent for piece in _pieces(data, weight))


def _pieces(data: Buffer, weight: Weight) -> Iterator[NDArray[np.unsignedinteger[Any]]]:
    """Yield the elements as unsigned integers of their bits."""
    import numpy as np

    tensor, (kind, _) = weight.tensor, EXPONENTS[weight.tensor.dtype]
    if weight.file is not None:
        nbytes = np.dtype(kind).itemsize * int(np.prod(tensor.dims, dtype=np.int64))
        with weight.file.open("rb") as stream:
            stream.seek(int(tensor.entries.get("offset") or 0))
            for start in range(0, nbytes, PIECE_BYTES):
                yield np.frombuffer(stream.read(min(PIECE_BYTES, nbytes - start)), kind)
        return
    for part in tensor.parts:
        if part.number == INT32S:  # halves, as one varint each
            yield np.array(varints(data, part), np.uint64).astype(kind)
        elif part.kind == BYTES:
            for start in range(part.start, part.end, PIECE_BYTES):
                yield np.frombuffer(data[start : min(start + PIECE_BYTES, part.end)], kind)
        else:
            yield np.frombuffer(data[part.start : part.end], kind)
