"""Keep what calibration measured in a file: safetensors with JSON metadata, nothing that could be executed.

It holds histograms, not ranges, so one file serves every method, precision, target and choice of nodes, and of each
image what it looks like and which classes it shows, for `watch`; files of earlier versions lack that. It is good for
one graph, one set of images in any order, and one version of ONNX Runtime; whatever else is found is reported in a line
and measured again. Results measured on another processor differ by rounding and are taken as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from fcn_deploy.errors import RecordError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.session import load_onnxruntime
from fcn_deploy.graph.weights import catch_weight_errors, graph_files
from fcn_deploy.quantization.calibration.histogram import BINS, Histogram
from fcn_deploy.quantization.calibration.image_profile import ImageProfile
from fcn_deploy.quantization.calibration.measure import TensorStatistics
from fcn_deploy.system.files import atomic_path, require_plain, sha256
from fcn_deploy.system.serialization.decode import decode, parse_json
from fcn_deploy.system.serialization.plain import plain

FORMAT = 1
METADATA_KEY = "fcn_deploy.calibration"
_PROFILE = ("appearance", "sizes", "pixels")  # arrays of an `ImageProfile`
_HEAD = 4096  # bytes in which to look for the metadata's key
_UNREADABLE = (SafetensorError, RecordError, OSError, KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class CacheKey:
    """What a cache was measured on.

    Attributes:
        graph: SHA-256 of the graph's file and its external data.
        images: SHA-256 of the images' sorted pixel digests; their order changes nothing in a histogram.
        count: how many images.
        original: SHA-256 of the file whose channels were equalised in the graph; "" where none were.
    """

    graph: str
    images: str
    count: int
    onnxruntime: str
    original: str = ""


@dataclass(frozen=True)
class _Metadata:
    """The file's metadata, its checksum apart: the names of its arrays' rows."""

    format: int
    key: CacheKey
    histograms: tuple[str, ...]
    largest: tuple[str, ...]


@dataclass(frozen=True)
class CacheContent:
    """What was found at a cache's path.

    Attributes:
        calibration: None if there is none that can be used.
        reason: why not; empty if there is no file.
        ours: False for a file that is something else, which must not be written over.
        key: what it was measured on; None without a calibration.
    """

    calibration: TensorStatistics | None = None
    reason: str = ""
    ours: bool = True
    key: CacheKey | None = None


def cache_key(graph: Path, digests: Sequence[str], original: Path | None = None) -> CacheKey:
    """Return the key of a graph, made from the file `original` unless that is None or the same, and of images.

    Args:
        digests: the `pixel_digest` of each image.

    Raises:
        GraphError: the graph or its external data cannot be read.
    """
    images = hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
    before = "" if original is None or original == graph else graph_digest(original)
    return CacheKey(graph_digest(graph), images, len(digests), load_onnxruntime().__version__, before)


def graph_digest(path: Path, model: ir.Model | None = None) -> str:
    """Return SHA-256 of an ONNX file alone, or over its own and those of its external data, which is read where it is.

    Args:
        model: the graph, where it was read from `path` already.
    """
    model = load_graph(path) if model is None else model
    with catch_weight_errors(path):
        digests = [sha256(file) for file in graph_files(path, model)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def read_cache(path: Path, key: CacheKey | None) -> CacheContent:
    """Return what `path` holds for `key` (None: for any); a file that cannot be used is a reason, never an error."""
    if not path.exists():
        return CacheContent()
    try:
        with require_plain(path).open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        return CacheContent(reason=f"cannot be read ({error.strerror})", ours=False)
    if not head:
        return CacheContent(reason="is empty")
    if METADATA_KEY.encode() not in head:
        return CacheContent(reason="is not a calibration cache", ours=False)
    try:
        with safe_open(path, framework="np") as archive:
            text = parse_json(archive.metadata()[METADATA_KEY], "its text", RecordError)
            if text["format"] != FORMAT:
                return CacheContent(reason=f"is of format {text['format']}, this version's is {FORMAT}")
            arrays = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        if text.pop("sha256") != _digest(text, arrays):
            return CacheContent(reason="is damaged (its checksum does not fit)")
        names = decode(_Metadata, text, "its text", RecordError)
        reason = "" if key is None else _difference(names.key, key)
        return CacheContent(reason=reason) if reason else CacheContent(_calibration(names, arrays), key=names.key)
    except _UNREADABLE as error:
        return CacheContent(reason=f"is damaged ({type(error).__name__}: {error})")


def write_cache(path: Path, key: CacheKey, calibration: TensorStatistics) -> None:
    """Write it whole or not at all; of two processes the later one's stays.

    Raises:
        OutputError: the file cannot be written.
    """
    histograms = list(calibration.histograms.values())
    arrays: dict[str, NDArray[Any]] = {
        "counts": np.stack([h.counts for h in histograms]) if histograms else np.zeros((0, BINS), np.int64),
        "low_high_width": np.array([(h.low, h.high, h.width) for h in histograms]).reshape(-1, 3),
        "zeros": np.array([h.zeros for h in histograms], np.int64),
        "largest": np.array(list(calibration.largest.values()), np.float64),
    }
    if calibration.profile is not None:
        arrays |= {name: getattr(calibration.profile, name) for name in _PROFILE}
    text = plain(_Metadata(FORMAT, key, tuple(calibration.histograms), tuple(calibration.largest)))
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, {METADATA_KEY: json.dumps({**text, "sha256": _digest(text, arrays)})})


def _difference(found: CacheKey, needed: CacheKey) -> str:
    """Describe in what the keys differ; empty if in nothing."""
    if found.graph != needed.graph:
        return "was measured on another graph"
    if found.images != needed.images:
        return f"was measured on other images ({found.count}, now {needed.count})"
    if found.onnxruntime != needed.onnxruntime:
        return f"was measured by onnxruntime {found.onnxruntime} (now {needed.onnxruntime})"
    return ""


def _calibration(names: _Metadata, arrays: Mapping[str, NDArray[Any]]) -> TensorStatistics:
    """Rebuild the statistics; ValueError if the arrays do not fit the names."""
    rows = zip(names.histograms, arrays["counts"], arrays["low_high_width"], arrays["zeros"], strict=True)
    if arrays["counts"].shape[1:] != (BINS,):
        raise ValueError(f"histograms of shape {arrays['counts'].shape[1:]}")
    histograms = {
        name: Histogram(float(low), float(high), counts, float(width), int(zeros))
        for name, counts, (low, high, width), zeros in rows
    }
    largest = zip(names.largest, arrays["largest"].tolist(), strict=True)
    return TensorStatistics(names.key.count, histograms, dict(largest), _profile(arrays, names.key.count))


def _profile(arrays: Mapping[str, NDArray[Any]], images: int) -> ImageProfile | None:
    """Return the figures of single images; None of a file that has none; ValueError if they are not of `images`."""
    if not arrays.keys() >= set(_PROFILE):
        return None
    found = {name: arrays[name] for name in _PROFILE}
    shapes = [array.shape for array in found.values()]
    if any(len(shape) != 2 or shape[0] != images for shape in shapes):
        raise ValueError(f"figures of {images} images of shapes {shapes}")
    return ImageProfile(**found)


def _digest(text: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return SHA-256 over the text and the numbers, so that a flipped bit is found."""
    state = hashlib.sha256(json.dumps(text, sort_keys=True).encode())
    for name in sorted(arrays):
        state.update(np.ascontiguousarray(arrays[name]).data)
    return state.hexdigest()
