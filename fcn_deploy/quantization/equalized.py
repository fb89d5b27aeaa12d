"""Equalise channels and correct biases with what the calibration images show."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.card import ModelCard
from fcn_deploy.graph.ports import graph_io_of
from fcn_deploy.graph.weights import catch_write_errors, save_graph
from fcn_deploy.quantization.calibration.channels import ChannelStatistics, measure_channels
from fcn_deploy.quantization.calibration.images import CalibrationSet
from fcn_deploy.quantization.rewrites.bias import correct_biases, correctable
from fcn_deploy.quantization.rewrites.equalize import EqualizedTensor, channel_links, equalize, spreads, weight_ranges
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.scratch import scratch_folder

# Largest channels are known well enough from so many images.
CHANNEL_IMAGES = 8
# Unless asked for, a tensor is left as it is below this spread of its factors, largest over smallest: healthy networks,
# those of CamVid and of the generated scenes, have 2 to 8 and gain nothing; one large channel makes hundreds.
LEAST_SPREAD = 16.0


@dataclass(frozen=True)
class EqualizedGraph:
    """The FP32 file to quantise.

    Attributes:
        path: the file itself where nothing was equalised, else a temporary one that gives the same results.
        tensors: what was equalised.
    """

    path: Path
    tensors: tuple[EqualizedTensor, ...]


@contextmanager
def equalized_graph(
    source: Path,
    model: ir.Model,
    card: ModelCard | None,
    images: CalibrationSet | None,
    wanted: bool | None,
    progress: Progress = SILENT,
) -> Iterator[EqualizedGraph]:
    """Equalise `model`, the loaded `source`, in place, and yield the file that holds it.

    Args:
        wanted: False: nothing is; True: every tensor with two different factors; None: those beyond `LEAST_SPREAD`.

    Raises:
        GraphError: the graph does not take an image, or a value is not finite.
        OutputError: the temporary file cannot be written.
    """
    links = [] if wanted is False or images is None else channel_links(model)
    if not links or images is None:
        yield EqualizedGraph(source, ())
        return
    if wanted is None and max(spreads(model, weight_ranges(model)).values()) < LEAST_SPREAD:
        yield EqualizedGraph(source, ())  # no channel's weights stand out, so no image is run to look at activations
        return
    seen = _measured(source, model, card, images, [link.name for link in links], progress)
    tensors = tuple(equalize(model, seen.largest, 2.0 if wanted else LEAST_SPREAD))
    if not tensors:
        yield EqualizedGraph(source, ())
        return
    with scratch_folder() as folder, catch_write_errors(folder):
        path = Path(folder, source.name)
        save_graph(model, path)
        yield EqualizedGraph(path, tensors)


def correct_measured_biases(
    path: Path,
    model: ir.Model,
    card: ModelCard | None,
    images: CalibrationSet,
    kept: Collection[str],
    progress: Progress = SILENT,
) -> dict[str, float]:
    """Correct the biases of `model`, whose weights are still in FP32, in place, for the INT8 weights that it will get.

    Args:
        path: the file of the same graph, which is run.
        kept: convolutions that stay in float.

    Returns:
        Convolution -> largest change of a bias.
    """
    inputs = [str(node.inputs[0].name) for node in correctable(model, kept) if node.inputs[0] is not None]
    names = list(dict.fromkeys(inputs))
    return correct_biases(model, kept, _measured(path, model, card, images, names, progress).mean)


def _measured(
    path: Path,
    model: ir.Model,
    card: ModelCard | None,
    images: CalibrationSet,
    names: Sequence[str],
    progress: Progress,
) -> ChannelStatistics:
    count = min(CHANNEL_IMAGES, len(images.coverage.frames.names))
    feeds = islice(images.feeds(graph_io_of(model, str(path), card)), count)
    return measure_channels(path, feeds, names, count, progress)
