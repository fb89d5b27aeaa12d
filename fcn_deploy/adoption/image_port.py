"""Find the image among the inputs of a foreign graph: its layout, its type and the sides that the file fixes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.ports import dims_of, port_of
from fcn_deploy.graph.sizes import FixedDims, graph_inputs
from fcn_deploy.system.formatting import count
from fcn_deploy.vocabulary import Shape

TYPES = {ir.DataType.FLOAT: np.float32, ir.DataType.FLOAT16: np.float16, ir.DataType.UINT8: np.uint8}
EXPECTED = "expected one batch of images with 3 channels, float32, float16 or uint8, [N, 3, H, W] or [N, H, W, 3]"


@dataclass(frozen=True)
class ImagePort:
    """The image input of a foreign graph.

    Attributes:
        channels: the axis of its 3 channels, 1 or 3.
        dtype: FLOAT, FLOAT16 or UINT8.
        fixed: N, H and W where the file fixes them.
    """

    name: str
    channels: int
    dtype: ir.DataType
    fixed: FixedDims

    @property
    def layout(self) -> str:
        return "NCHW" if self.channels == 1 else "NHWC"

    @property
    def is_raw(self) -> bool:
        """Whether it takes the image's bytes, so that the graph normalises them itself."""
        return self.dtype == ir.DataType.UINT8

    @property
    def dims(self) -> tuple[int | str, int | str, int | str]:
        """N, H and W as numbers where they are fixed, else as these letters."""
        n, h, w = self.fixed
        return n or "N", h or "H", w or "W"

    def bound(self, shape: Shape) -> Shape:
        """Return `shape` (N, H, W) with the fixed sides in place of its own."""
        n, h, w = (fixed or wanted for fixed, wanted in zip(self.fixed, shape, strict=True))
        return n, h, w

    def bound_batch(self, shape: Shape) -> Shape:
        """Return `shape` (N, H, W) with the fixed N in place of its own."""
        return (self.fixed[0] or shape[0], *shape[1:])

    def feed(self, image: NDArray[Any], card: ModelCard) -> dict[str, NDArray[np.generic]]:
        """Return what the given graph takes for [N, H, W, 3] RGB: normalised by the card, in its own layout."""
        x = image[..., ::-1] if card.channel_order == "BGR" else image
        if not self.is_raw:
            normalised = (x.astype(np.float32) - np.array(card.mean, np.float32)) / np.array(card.std, np.float32)
            x = normalised.astype(TYPES[self.dtype])
        return {self.name: np.ascontiguousarray(x.transpose(0, 3, 1, 2) if self.channels == 1 else x)}


def image_ports(model: ir.Model, path: Path) -> tuple[ImagePort, ...]:
    """Return what the only input may be: one port, or one per layout where the file does not say where channels are.

    Raises:
        GraphError: several inputs, an unknown rank, another type, or 1 or 4 channels.
    """
    inputs = graph_inputs(model)
    listed = " and ".join(str(port_of(value)) for value in inputs)
    if len(inputs) != 1:
        raise GraphError(f"{path} has {len(inputs)} inputs ({listed}); {EXPECTED}")
    dims, dtype = dims_of(inputs[0]), inputs[0].dtype
    if dims is None:
        raise GraphError(f"{path}: the rank of its input {inputs[0].name} is unknown; export it with four dims")
    if dtype not in TYPES or len(dims) != 4:
        raise GraphError(f"{path}: its input is {listed}; {EXPECTED}")
    axes = [axis for axis in (1, 3) if dims[axis] == 3]
    few = next((dim for dim in (dims[1], dims[3]) if dim in (1, 2, 4)), None)
    if not axes and few is not None:
        raise GraphError(f"{path}: its input has {count(few, 'channel')}; {EXPECTED}")
    axes = axes or [axis for axis in (1, 3) if not isinstance(dims[axis], int)]
    if not axes:
        raise GraphError(f"{path}: its input is {listed}; {EXPECTED}")
    return tuple(_port(inputs[0], dims, axis) for axis in axes)


def _port(value: ir.Value, dims: tuple[int | str | None, ...], channels: int) -> ImagePort:
    n, h, w = (dim if isinstance(dim, int) and dim > 0 else None for axis, dim in enumerate(dims) if axis != channels)
    assert value.dtype is not None
    return ImagePort(str(value.name), channels, value.dtype, (n, h, w))
