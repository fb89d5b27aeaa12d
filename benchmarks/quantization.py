"""How far FP16, BF16, FP8 and INT8 move a trained network's accuracy, compared with onnxruntime's own quantiser.

Every file is made from one FP32 file, calibrated with the same images and scored on the same others, one in OpenVINO
too. It takes about ten minutes and writes figures alone into the record, no images.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.suite import Measured
from fcn_deploy.card import ModelCard, ignore_index_for
from fcn_deploy.data.dataset import iterate
from fcn_deploy.data.digests import Frames, overlap
from fcn_deploy.data.options import DataOptions, open_for_model
from fcn_deploy.graph.load import read_card
from fcn_deploy.metrics.bootstrap import iou_change
from fcn_deploy.metrics.boundary import Evaluation
from fcn_deploy.metrics.scores import Counts, scores
from fcn_deploy.quantization.calibration.images import CalibrationSet, open_checked
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.system.files import sha256
from fcn_deploy.system.optional import require
from fcn_deploy.vocabulary import INPUT, LABELS, METHODS

IMAGES = 100  # for calibration
RADIUS = 3  # half width of the boundary band in pixels
ELSEWHERE = {"int8, cpu, mse": "openvino"}  # files that another runner is scored with too
CORRECTIONS = {
    "equalised": {"equalize": True},
    "biases corrected": {"equalize": False, "correct_bias": True},
    "equalised, biases corrected": {"equalize": True, "correct_bias": True},
}
Labels = list[NDArray[np.uint8]]
Maker = Callable[[Path], object]


@dataclass(frozen=True)
class Scored:
    """One file on the validation set.

    Attributes:
        overall, boundary: int64[I, C, C], one confusion matrix an image.
        labels: uint8[1, H, W] of each image.
    """

    overall: Counts
    boundary: Counts
    labels: Labels


def score(path: Path, card: ModelCard, validation: DataOptions, runner_name: str = "onnxruntime") -> Scored:
    """Run every validation image."""
    counted, labels, classes = [], [], card.num_classes
    with open_runner(runner_name, str(path)) as runner:
        for sample in iterate(open_for_model(card, validation)):
            if sample.label is None:
                raise SystemExit(f"{sample.name} has no labels")
            labels.append(runner.infer({INPUT: sample.image[None]})[LABELS])
            counted.append(Evaluation(classes, ignore_index_for(classes), RADIUS))
            counted[-1].update(sample.label[None], labels[-1])
    return Scored(np.stack([one.overall for one in counted]), np.stack([one.boundary for one in counted]), labels)


def variants(source: Path, data: DataOptions, images: CalibrationSet, cache: Path) -> dict[str, Maker]:
    """Name -> what writes the file. Ours share one calibration cache, so the images are run once."""

    def ours(**options: Any) -> Maker:
        return lambda path: quantize(source, path, calibration=data, calibration_cache=cache, **options)

    made = {
        "fp16": ours(precision="fp16"),
        "bf16": lambda path: quantize(source, path, precision="bf16", calibration=data),
        "fp8, tensorrt": ours(precision="fp8"),
        "fp8+fp16, tensorrt": ours(precision="fp8+fp16"),
    }
    for target in ("tensorrt", "cpu"):
        for method in METHODS:
            made[f"int8, {target}, {method}"] = ours(precision="int8", target=target, method=method)
        for name, options in CORRECTIONS.items():
            made[f"int8, {target}, mse, {name}"] = ours(precision="int8", target=target, **options)
    made["int8+fp16, tensorrt, mse"] = ours(precision="int8+fp16")
    quantization = require("onnxruntime.quantization")

    def theirs(**options: Any) -> Maker:
        return lambda path: quantization.quantize_static(str(source), str(path), reader(images), **options)

    made["onnxruntime quantize_static, its defaults"] = theirs()
    made["onnxruntime quantize_static, uint8, per channel"] = theirs(
        per_channel=True, activation_type=quantization.QuantType.QUInt8
    )
    return made


def reader(images: CalibrationSet) -> Any:
    """Return the calibration images as onnxruntime's quantiser takes them."""

    class Reader(require("onnxruntime.quantization").CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[NDArray[np.uint8]] = iter(images.first(IMAGES))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            image = next(self.left, None)
            return None if image is None else {INPUT: image}

    return Reader()


def row(name: str, path: Path, found: Scored, fp32: Scored) -> dict[str, Any]:
    """Return figures in points and their changes against FP32, the counts behind them, and the file's size."""
    overall, boundary = found.overall.sum(axis=0), found.boundary.sum(axis=0)
    changes = iou_change(fp32.overall, found.overall).mean, iou_change(fp32.boundary, found.boundary).mean
    same = sum(int(np.count_nonzero(a == b)) for a, b in zip(found.labels, fp32.labels, strict=True))
    return {
        "name": name,
        "mean_iou": 100 * scores(overall).mean_iou,
        "change": [_points(end) for end in (changes[0].value, changes[0].low, changes[0].high)],
        "boundary_mean_iou": 100 * scores(boundary).mean_iou,
        "boundary_change": [_points(end) for end in (changes[1].value, changes[1].low, changes[1].high)],
        "same_labels": [same, sum(labels.size for labels in fp32.labels)],
        "bytes": path.stat().st_size,
        "counts": overall.tolist(),
        "boundary_counts": boundary.tolist(),
    }


def circumstances(source: Path, folder: Path, images: CalibrationSet, validation: DataOptions) -> dict[str, Any]:
    """Network and images by name and hash; no path of this machine."""
    card, frames = read_card(source), Frames()
    for sample in iterate(open_for_model(None, validation)):
        frames.add(sample)
    return {
        "model": {"name": card.model, "options": dict(card.options), "sha256": sha256(source)},
        "data": folder.name,
        "classes": list(card.classes),
        "calibration_images": [str(Path(name).relative_to(folder)) for name in images.coverage.frames.names],
        "validation_images": len(frames.names),
        "images_in_both": len(overlap(images.coverage.frames, frames).shared),
        "boundary_radius": RADIUS,
        "interval": "95 %, paired bootstrap over the validation images",
    }


def measure(model: str, data: str) -> Measured:
    """Return the rows of all files, FP32 first, and the record's circumstances.

    Args:
        model: an FP32 .onnx file that `fcn-deploy export` wrote.
        data: a folder with train.txt, val.txt and classes.txt.
    """
    logging.disable(logging.WARNING)  # onnxruntime's advice on preprocessing
    source, folder = Path(model), Path(data)
    calibration, validation = DataOptions(str(folder / "train.txt"), limit=IMAGES), DataOptions(str(folder / "val.txt"))
    card = read_card(source)
    images = open_checked(card, calibration)
    with tempfile.TemporaryDirectory() as made:
        fp32 = score(source, card, validation)
        rows = [row("FP32", source, fp32, fp32)]
        for name, make in variants(source, calibration, images, Path(made) / "calibration").items():
            path = Path(made) / "quantised.onnx"
            make(path)
            rows.append(row(name, path, score(path, card, validation), fp32))
            if name in ELSEWHERE:
                found = score(path, card, validation, ELSEWHERE[name])
                rows.append(row(f"{name}, in {ELSEWHERE[name]}", path, found, fp32))
    return rows, circumstances(source, folder, images, validation)


def _points(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction
