"""Describe the inputs and outputs of any model file, and check that they keep the uint8 contract."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.ports import describe_io
from fcn_deploy.vocabulary import Shape

_AS_ONNXRUNTIME = {"float32": "float", "float64": "double"}


@dataclass(frozen=True)
class Port:
    """One input or output: its name, NumPy's name of its type, and its dims; -1, a name or None for one that varies."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    @property
    def type(self) -> str:
        """As onnxruntime writes it, "tensor(uint8)"."""
        return f"tensor({_AS_ONNXRUNTIME.get(self.dtype, self.dtype)})"

    def __str__(self) -> str:
        dims = ", ".join("?" if dim in (-1, None) else str(dim) for dim in self.shape)
        return f"{self.name} {self.dtype}[{dims}]"


def contract(inputs: Sequence[Port], outputs: Sequence[Port], card: ModelCard | None) -> str:
    """Return whether a runner can keep "uint8 image in, labels out" with these ports, and what the host does for it."""
    try:
        io = describe_io("", inputs, outputs, card)
    except GraphError as error:
        return f"no: {str(error).removeprefix(': ')}"
    work = io.host_work(("labels",))
    return "uint8 RGB image in, labels out" + (f"; a runner {' and '.join(work)}" if work else "")


def buffer_bytes(ports: Iterable[Port], item_bytes: dict[str, int], shape: Shape) -> int | None:
    """Return bytes of one set of input and output buffers for (N, H, W); None if a type or a rank is unknown."""
    total = 0
    for port in ports:
        size = item_bytes.get(port.dtype)
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
