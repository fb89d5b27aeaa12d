"""Let a network's activations hold no more than they do on right images, as in an INT8 file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.diagnosis.slips.network import CutNetwork
from fcn_deploy.diagnosis.slips.slip import Bytes
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.float_layers import convolutions
from fcn_deploy.graph.load import find_card
from fcn_deploy.graph.nodes import producer
from fcn_deploy.graph.ports import graph_io_of
from fcn_deploy.graph.weights import save_graph
from fcn_deploy.quantization.calibration.histogram import choose_range
from fcn_deploy.quantization.calibration.measure import calibrate
from fcn_deploy.quantization.rewrites.int8 import load_rewritable
from fcn_deploy.quantization.rewrites.qdq import insert_qdq, quantised_tensors


class SaturatingNetwork:
    """An FP32 file whose convolutions read 8 bits over the range that they have on right images; the first reads float.

    Values that no right image has (no std, say) are cut off behind every layer of an INT8 file, which changes labels
    more than its rounding does.
    """

    def __init__(self, path: Path, folder: Path, *, threads: int | None = None) -> None:
        """Take an ONNX file; nothing is done before `open`. `folder` is for temporary files."""
        self._path, self._folder, self._threads = path, folder, threads
        self._images: Sequence[Bytes] = ()
        self._opened: CutNetwork | None = None
        self._tried = False

    def look_at(self, images: Sequence[Bytes]) -> None:
        """Take the right images, uint8[H, W, 3] each; the first ones count."""
        self._images = self._images or images

    def open(self) -> CutNetwork | None:
        """Return the network, cut behind its normalisation; None if the file cannot be rewritten, as an INT8 one."""
        if not self._tried:
            self._tried = True
            try:
                self._opened = self._made()
            except GraphError:
                self._opened = None
        return self._opened

    def _made(self) -> CutNetwork:
        model = load_rewritable(self._path)
        io = graph_io_of(model, str(self._path), find_card(model, self._path))
        first = [str(node.name) for node in convolutions(model) if _reads_the_image(node)]
        names = quantised_tensors(model, "cpu", first)
        seen = calibrate(self._path, ({io.image: io.prepare(image[None])} for image in self._images), histograms=names)
        ranges = {name: choose_range(seen.histograms[name], "minmax", symmetric=False) for name in names}
        insert_qdq(model, "cpu", first, ranges)
        target = self._folder / f"saturating{self._path.suffix}"
        save_graph(model, target)
        return CutNetwork(target, self._folder, threads=self._threads)


def _reads_the_image(node: ir.Node) -> bool:
    """Return whether there is no convolution between the graph's input and this one."""
    source = producer(node)
    while source is not None and source.op_type not in ("Conv", "ConvTranspose"):
        source = producer(source)
    return source is None
