"""Check that the inputs and outputs of a model file keep the uint8 contract, and how large their buffers are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.ports import Port, describe_io
from fcn_deploy.vocabulary import Shape

_ITEM_BYTES = {"uint8": 1, "int8": 1, "bool": 1, "float16": 2, "int32": 4, "float32": 4, "int64": 8}


def contract(inputs: Sequence[Port], outputs: Sequence[Port], card: ModelCard | None) -> str:
    """Return whether a runner can keep "uint8 image in, labels out" with these ports, and what the host does for it."""
    try:
        io = describe_io("", inputs, outputs, card)
    except GraphError as error:
        return f"no: {str(error).removeprefix(': ')}"
    work = io.host_work(("labels",))
    return "uint8 RGB image in, labels out" + (f"; a runner {' and '.join(work)}" if work else "")


def buffer_bytes(ports: Iterable[Port], shape: Shape) -> int | None:
    """Return bytes of one set of input and output buffers for (N, H, W); None if a type or a rank is unknown."""
    total = 0
    for port in ports:
        size = _ITEM_BYTES.get(port.dtype)
        if size is None or len(port.shape) not in (3, 4):
            return None
        for dim, usual in zip(port.shape, _dims(port, shape), strict=True):
            size *= dim if isinstance(dim, int) and dim > 0 else usual
        total += size
    return total


def _dims(port: Port, shape: Shape) -> tuple[int, ...]:
    batch, height, width = shape
    if len(port.shape) == 3:
        return shape
    return (batch, height, width, 1) if port.shape[3] in (1, 3, 4) else (batch, 1, height, width)
