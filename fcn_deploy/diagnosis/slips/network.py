"""Run an ONNX file behind its normalisation, so that it can be fed what a mistaken program would feed it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.diagnosis.constants import Normalisation, normalisation, normalised_image
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.graph.ports import graph_io_of
from fcn_deploy.graph.simplify import simplify
from fcn_deploy.graph.subgraph import Subgraph, extract_subgraph

FloatImage = NDArray[np.float32]  # [H, W, 3]


class CutNetwork:
    """A segmentation file without its normalisation.

    Attributes:
        name: of the file.
        card: its model card, None without one.
        normalisation: what was cut off; of RGB in 0..255.
    """

    def __init__(self, path: Path, folder: Path, *, threads: int | None = None) -> None:
        """Cut the file behind its normalisation; `folder` is for temporary files.

        Raises:
            GraphError: it cannot be read or cut, or does not say how images are normalised.
        """
        model = load_graph(path)
        simplify(model)
        self.name, self.card = path.name, find_card(model, path)
        io = graph_io_of(model, str(path), self.card)
        own = normalisation(model)
        known = Normalisation.of_card(self.card) if own is None and self.card is not None else own
        if known is None:
            raise GraphError(f"{path} does not say how images are normalised; `fcn-deploy adopt` writes such a file")
        self.normalisation = known
        self._image, self._entry = io.image, normalised_image(model) if own is not None else io.image
        self._scores = io.logits or _before_arg_max(model, io.labels or "")
        self._channels_first, self._dtype = True, np.dtype(io.image_type)
        if own is not None and self._entry != io.image:
            probe = Subgraph(extract_subgraph(model, [io.image], [self._entry]), folder, threads=threads)
            made = probe.run({io.image: np.zeros((1, 32, 64, 3), np.uint8)})[self._entry]
            self._channels_first, self._dtype = made.shape[1] == 3, made.dtype
        elif own is not None:
            self._channels_first = False
        self._part = Subgraph(extract_subgraph(model, [io.image, self._entry], [self._scores]), folder, threads=threads)

    def normalise(self, image: NDArray[Any]) -> FloatImage:
        """Return [H, W, 3] of RGB in 0..255 as the network wants it, its channel order included."""
        order, mean, std = self.normalisation.order, self.normalisation.mean, self.normalisation.std
        return ((image.astype(np.float32)[..., list(order)] - mean) / std).astype(np.float32)

    def scores(self, values: FloatImage) -> NDArray[Any]:
        """Return logits float32[C, H, W] of normalised values, or labels integer[H, W] of a file without logits."""
        batch = values.transpose(2, 0, 1)[None] if self._channels_first else values[None]
        if self._dtype == np.uint8:
            batch = batch.round().clip(0, 255)
        shape = (1, *values.shape)
        feeds = {self._image: np.zeros(shape, np.uint8)} | {self._entry: np.ascontiguousarray(batch, dtype=self._dtype)}
        made: NDArray[Any] = self._part.run(feeds)[self._scores][0]
        return made


def _before_arg_max(model: ir.Model, labels: str) -> str:
    """Return the logits [N, C, H, W] from which `labels` are made; the labels' own name where no arg max is found."""
    value: ir.Value | None = next(value for value in model.graph.outputs if value.name == labels)
    while value is not None and (node := value.producer()) is not None:
        if node.op_type == "ArgMax":
            over_classes = node.attributes.get_int("axis", 0) == 1 and node.attributes.get_int("keepdims", 1) == 0
            logits = node.inputs[0]
            return str(logits.name) if over_classes and logits is not None else labels
        if node.op_type not in ("Cast", "Identity"):
            break
        value = node.inputs[0]
    return labels
