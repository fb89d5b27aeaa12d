"""INT8 files as other tools make them, by their documentation: onnxruntime's quantize_static, onnxsim, NNCF.

Each takes the FP32 file that ours is made from, the same calibration images, and its own defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.system.optional import require
from fcn_deploy.vocabulary import INPUT

Image = NDArray[np.uint8]
Images = Callable[[], Iterator[Image]]  # each call starts again: uint8[1, H, W, 3]
Maker = Callable[[Path], object]
DEFAULTS = "onnxruntime quantize_static, its defaults"
PER_CHANNEL = "onnxruntime quantize_static, uint8, per channel"
SIMPLIFIED = "onnxsim, then quantize_static"
NNCF = "NNCF"
NAMES = (DEFAULTS, PER_CHANNEL, SIMPLIFIED, NNCF)


def check_installed() -> None:
    """Raise MissingDependencyError before anything is measured, and not after minutes."""
    for module in ("onnxruntime.quantization", "onnxsim", "nncf", "openvino"):
        require(module)


def peers(source: Path, images: Images, count: int) -> dict[str, Maker]:
    """Return name -> what writes the file of that tool.

    Args:
        count: the number of calibration images.
    """
    activations = require("onnxruntime.quantization").QuantType.QUInt8
    return {
        DEFAULTS: lambda path: static(source, path, images),
        PER_CHANNEL: lambda path: static(source, path, images, per_channel=True, activation_type=activations),
        SIMPLIFIED: lambda path: simplified(source, path, images),
        NNCF: lambda path: nncf(source, path, images, count),
    }


def static(source: Path, path: Path, images: Images, **options: Any) -> None:
    require("onnxruntime.quantization").quantize_static(str(source), str(path), reader(images), **options)


def simplified(source: Path, path: Path, images: Images) -> None:
    """Let onnxsim simplify the graph, then quantise it by onnxruntime's defaults."""
    onnx = require("onnx")
    model, same = require("onnxsim").simplify(onnx.load(str(source)))
    if not same:
        raise SystemExit(f"onnxsim says that its graph computes other values than {source.name}")
    simpler = path.with_suffix(".simplified.onnx")
    onnx.save(model, str(simpler))
    static(simpler, path, images)
    simpler.unlink()


def nncf(source: Path, path: Path, images: Images, count: int) -> None:
    """NNCF's post-training quantization of an ONNX graph: ranges, then its fast bias correction."""
    onnx, library = require("onnx"), require("nncf")
    data = library.Dataset(list(images()), _feeds)
    onnx.save(library.quantize(onnx.load(str(source)), data, subset_size=count), str(path))


def _feeds(image: Image) -> Mapping[str, Image]:
    return {INPUT: image}


def reader(images: Images) -> Any:
    """Return the calibration images as onnxruntime's quantiser takes them."""

    class Reader(require("onnxruntime.quantization").CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = images()

        def get_next(self) -> Mapping[str, Image] | None:
            image = next(self.left, None)
            return None if image is None else _feeds(image)

    return Reader()
