"""Measure the values of a graph's tensors by running it on images, one at a time and in constant memory."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.errors import DataError, GraphError, first_line
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.graph.nodes import CONTRACT_PREFIX
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.graph.simplify import simplify
from fcn_deploy.graph.weights import catch_write_errors, lower_ir_version
from fcn_deploy.quantization.calibration.histogram import Histogram
from fcn_deploy.quantization.calibration.image_profile import ImageProfile, ProfileCollector
from fcn_deploy.runners.checks.labels import size_trouble
from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.system.scratch import scratch_folder

Feeds = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class TensorStatistics:
    """Statistics of tensors over the calibration images.

    Attributes:
        images: how many were run.
        histograms: tensor -> distribution.
        largest: tensor -> largest |x|, of every tensor that was watched.
        profile: what the images look like and show; None where that was not gathered.
    """

    images: int
    histograms: Mapping[str, Histogram]
    largest: Mapping[str, float]
    profile: ImageProfile | None = None

    def only(self, histograms: Iterable[str], extremes: Iterable[str]) -> TensorStatistics:
        """Return what `calibrate` gives of these tensors; KeyError if it has not all of them."""
        kept = {name: self.histograms[name] for name in histograms}
        largest = {name: self.largest[name] for name in (*kept, *extremes)}
        return TensorStatistics(self.images, kept, largest, self.profile)

    def merge(self, other: TensorStatistics) -> TensorStatistics:
        """Add the tensors of `other`, measured on the same images."""
        histograms, largest = {**self.histograms, **other.histograms}, {**self.largest, **other.largest}
        return TensorStatistics(self.images, histograms, largest, self.profile or other.profile)


def calibrate(
    path: Path,
    feeds: Iterable[Feeds],
    *,
    histograms: Sequence[str],
    extremes: Sequence[str] = (),
    profile: ProfileCollector | None = None,
    total: int | None = None,
    progress: Progress = SILENT,
) -> TensorStatistics:
    """Run the graph with the tensors as outputs.

    Args:
        path: an FP32 ONNX file.
        feeds: what the graph takes, image by image; the same images in any order give the same result.
        histograms: tensors whose distribution is gathered.
        extremes: tensors of which the largest magnitude is enough.
        profile: what counts the labels of each image; whoever makes `feeds` adds the images.
        total: how many images will come, for the progress bar.

    Raises:
        DataError: there was no image.
        GraphError: a tensor is NaN or infinite on an image: its name and the image's number; or the graph does not
            take an image.
    """
    watched = list(dict.fromkeys([*histograms, *extremes]))
    gathered = {name: Histogram() for name in histograms}
    largest = dict.fromkeys(watched, 0.0)
    names = watched if profile is None else list(dict.fromkeys([*watched, profile.tensor]))
    count = 0
    for count, seen in enumerate(watched_tensors(path, feeds, names, total, progress), start=1):
        for name in watched:
            _observe(name, seen[name], gathered.get(name), largest, count)
        if profile is not None:
            profile.add_seen(seen)
    if count == 0:
        raise DataError("there is no calibration image; give a data set (--calib) with at least one")
    return TensorStatistics(count, gathered, largest, None if profile is None else profile.result())


def watched_tensors(
    path: Path, feeds: Iterable[Feeds], names: Sequence[str], total: int | None = None, progress: Progress = SILENT
) -> Iterator[Feeds]:
    """Run the graph image by image and yield the tensors `names` of each, with what it was fed.

    Raises:
        GraphError: there is no such tensor, or the graph does not take an image.
    """
    with scratch_folder() as folder:
        copy = _with_outputs(path, names, folder)
        gc.collect()  # nodes and values refer to each other, so the graph's weights would stay in memory until then
        session = open_cpu_session(copy, shown=path)
        for count, feed in enumerate(track(progress, "calibrating", feeds, total), start=1):
            made = [name for name in names if name not in feed]  # no session gives what it was fed
            try:
                results = session.run(made, dict(feed)) if made else []  # an empty list would mean all outputs
            except Exception as error:  # onnxruntime's exceptions have no base of their own
                reason = _size_trouble(path, session, feed) or first_line(error)
                raise GraphError(f"{path} does not run on calibration image {count}: {reason}") from error
            yield {**feed, **dict(zip(made, results, strict=True))}


def _size_trouble(path: Path, session: Any, feed: Feeds) -> str:
    """Return why the image does not fit the file, by the dims that it fixes and by its card; "" if it seems to."""
    port = session.get_inputs()[0]
    n, h, w = (feed[port.name].shape[axis] for axis in ((0, 1, 2) if port.type == "tensor(uint8)" else (0, 2, 3)))
    fits = all(
        dim == number for dim, number in zip(port.shape, feed[port.name].shape, strict=True) if isinstance(dim, int)
    )
    return size_trouble((n, h, w), None if fits else port.shape, find_card(load_graph(path), path))


def network_tensors(model: ir.Model) -> list[str]:
    """Return float results but those of the contract, whose normalisation stays in FP32; `model` stays as it is."""
    from onnx_ir.passes import common

    typed = model.clone()  # which shares the weights
    common.ShapeInferencePass()(typed)
    floats = [out for node in typed.graph for out in node.outputs if out.dtype == ir.DataType.FLOAT]
    return [str(out.name) for out in floats if not str(out.name).startswith(CONTRACT_PREFIX)]


def _observe(
    name: str, values: NDArray[np.float32], histogram: Histogram | None, largest: dict[str, float], number: int
) -> None:
    top = float(np.abs(values).max()) if histogram is None and values.size else 0.0
    try:
        if histogram is not None:
            histogram.add(values)
            top = histogram.largest
    except ValueError:
        top = float("nan")
    if not np.isfinite(top):
        raise GraphError(
            f"the result of {name} is NaN or infinite on calibration image {number}, in FP32 already; "
            "check the weights and the normalisation"
        )
    largest[name] = max(largest[name], top)


def _with_outputs(path: Path, names: Sequence[str], folder: Path) -> Path:
    """Return a copy of the graph that hands out `names` as well."""
    model = load_graph(path)
    simplify(model)
    values = ir.convenience.create_value_mapping(model.graph)
    missing = [name for name in names if name not in values]
    if missing:
        raise GraphError(f"{path} has no tensor {missing[0]}")
    present = {output.name for output in model.graph.outputs} | {value.name for value in model.graph.inputs}
    for name in names:
        if name not in present:
            values[name].dtype = ir.DataType.FLOAT
            model.graph.outputs.append(values[name])
    target = folder / "watched.onnx"
    lower_ir_version(model)
    with catch_write_errors(folder):
        ir.save(model, target, external_data="watched.data")
    return target
