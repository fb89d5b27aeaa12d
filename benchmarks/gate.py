"""How often a gate is right on a labelled set: files that lose nothing pass, files that lose twice the budget do not.

The FP32 file, and FP16 and INT8 files made from it, are run once and counted frame by frame. Then frames are drawn with
replacement, as many as there are, and each draw is judged by `metrics.budget` as `bench` judges a run. What all frames
lose is the truth that the verdicts are compared with. Losses that no file has are planted in the counts of FP32: pixels
that were right get a wrong class, many on some frames and few on others, until all frames lose twice the budget.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quantization import score
from benchmarks.suite import Measured
from fcn_deploy.data.options import DataOptions
from fcn_deploy.graph.load import read_card
from fcn_deploy.metrics.budget import BOUNDARY, AccuracyBudget, ImageCounts, judge
from fcn_deploy.metrics.scores import Counts, scores
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.sources.model_source import ModelSource

BUDGETS = (0.1, 0.3, 1.0)  # points
LEAST_LOSS = 0.02  # points that the INT8 file must lose for half of it to be a budget
SEED = 0
Figure = str | None  # a class, "" for mean IoU, None for mean IoU near label changes


@dataclass(frozen=True)
class Case:
    """Two files and a budget, and what the verdict should be.

    Attributes:
        files: the two, in words.
        limit: what is judged, in words.
        loss: points that `after` loses on all frames.
        right: the verdict on all frames.
    """

    files: str
    limit: str
    budget: AccuracyBudget
    loss: float
    right: str
    before: ImageCounts
    after: ImageCounts


def measure(model: str, data: str, calib: str, calibration: int, draws: int) -> Measured:
    """Return a row for each pair of files and budget: the verdicts on all draws.

    Args:
        calibration: images for the INT8 file.
        draws: of all frames, for each row.
    """
    with tempfile.TemporaryDirectory() as name, ModelSource(model) as source:
        folder, fp32 = Path(name), Path(source.onnx_file())
        images = DataOptions(calib, split="train", limit=calibration)
        quantize(fp32, folder / "fp16.onnx", precision="fp16")
        quantize(fp32, folder / "int8.onnx", precision="int8", target="cpu", calibration=images)
        card = read_card(fp32)
        found = {}
        for kind, path in (("fp32", fp32), ("fp16", folder / "fp16.onnx"), ("int8", folder / "int8.onnx")):
            scored = score(path, card, DataOptions(data))
            found[kind] = ImageCounts(scored.overall, scored.boundary, len(scored.overall))
    return simulate(found, card.classes, draws), {"frames": found["fp32"].images}


def simulate(found: Mapping[str, ImageCounts], classes: Sequence[str], draws: int) -> list[dict[str, Any]]:
    """Judge every case on `draws` draws of the frames.

    Args:
        found: "fp32", "fp16" and "int8": counts of the same frames.
        classes: names, index = label.
    """
    frames = found["fp32"].images
    drawn = np.random.default_rng(SEED).integers(0, frames, (draws, frames))
    return [_row(case, classes, drawn) for case in cases(found, classes)]


def cases(found: Mapping[str, ImageCounts], classes: Sequence[str]) -> Iterator[Case]:
    """Yield files that lose nothing, then planted losses of twice the budget, then the INT8 file at half its loss."""
    fp32, fp16, int8 = (found[kind] for kind in ("fp32", "fp16", "int8"))
    present = [name for index, name in enumerate(classes) if fp32.overall[:, index].any()]
    for files, after in (("FP32 twice", fp32), ("FP32 and FP16", fp16)):
        for points in BUDGETS:
            everything = AccuracyBudget(points, points, dict.fromkeys(present, points))
            limit = f"mIoU, boundary and {len(present)} classes"
            yield Case(files, limit, everything, lost(fp32, after, "", classes), "passed", fp32, after)
    for points in BUDGETS:
        for figure in ("", None, *present):
            if 4 * points < value(fp32, figure, classes):
                after = planted(fp32, figure, 2 * points, classes)
                loss = lost(fp32, after, figure, classes)
                yield Case("planted loss", _words(figure), _budget(figure, points), loss, "broken", fp32, after)
    for figure in ("", None, *present):
        loss = lost(fp32, int8, figure, classes)
        if loss > LEAST_LOSS:
            yield Case("FP32 and INT8", _words(figure), _budget(figure, loss / 2), loss, "broken", fp32, int8)


def planted(before: ImageCounts, figure: Figure, wanted: float, classes: Sequence[str]) -> ImageCounts:
    """Return counts in which `figure` is `wanted` points lower: pixels that were right have a wrong class.

    Frame i has a share of them that is proportional to a draw from an exponential distribution: faults of deployed
    networks are not spread evenly. One wrong class a frame and class, from one seed.
    """
    generator = np.random.default_rng(SEED + 1)
    frames, size, _ = before.overall.shape
    uneven = generator.exponential(size=(frames, 1))
    wrong = (np.arange(size) + generator.integers(1, size, (frames, size))) % size
    only = slice(None) if not figure else [classes.index(figure)]

    def moved(counts: Counts, share: float) -> Counts:
        rows, after = np.arange(size), np.array(counts, np.int64)
        each = np.zeros((frames, size))
        each[:, only] = np.minimum(share * uneven, 1)
        pixels = np.floor(each * counts[:, rows, rows]).astype(np.int64)
        after[:, rows, rows] -= pixels
        after[np.arange(frames)[:, None], rows, wrong] += pixels
        return after

    def result(share: float) -> ImageCounts:
        near = None if before.boundary is None else moved(before.boundary, share)
        return ImageCounts(moved(before.overall, share), near, frames)

    share = _root(lambda share: lost(before, result(share), figure, classes) - wanted)
    return result(share)


def value(counts: ImageCounts, figure: Figure, classes: Sequence[str]) -> float:
    """Return a figure in points on all frames."""
    side = counts.boundary if figure is None else counts.overall
    assert side is not None
    found = scores(side.sum(axis=0))
    return 100 * (found.per_class_iou[classes.index(figure)] if figure else found.mean_iou)


def lost(before: ImageCounts, after: ImageCounts, figure: Figure, classes: Sequence[str]) -> float:
    """Return the points of a figure that all frames lose."""
    return value(before, figure, classes) - value(after, figure, classes)


def _root(function: Callable[[float], float], low: float = 0.0, high: float = 1.0, steps: int = 40) -> float:
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return high


def _budget(figure: Figure, points: float) -> AccuracyBudget:
    if figure is None:
        return AccuracyBudget(boundary_drop=points)
    return AccuracyBudget(class_drops={figure: points}) if figure else AccuracyBudget(points)


def _words(figure: Figure) -> str:
    return "boundary" if figure is None else figure or "mIoU"


def _row(case: Case, classes: Sequence[str], drawn: NDArray[np.int64]) -> dict[str, Any]:
    counted = Counter(_verdict(case, classes, frames) for frames in drawn)
    allowed = case.budget.limits[0]
    verdicts = {verdict: counted[verdict] for verdict in ("passed", "broken", "not judged")}
    head = {"files": case.files, "limit": case.limit, "allowed": allowed.allowed, "loss": case.loss}
    return {**head, "boundary": allowed.option == BOUNDARY, "right": case.right, "draws": len(drawn), **verdicts}


def _verdict(case: Case, classes: Sequence[str], frames: NDArray[np.int64]) -> str:
    """Judge one draw: broken where a limit is, passed where all are."""
    sides = [_drawn(side, frames) for side in (case.before, case.after)]
    verdicts = {judged.verdict for judged in judge(sides[0], sides[1], case.budget, classes)}
    return next(verdict for verdict in ("broken", "not judged", "passed") if verdict in verdicts)


def _drawn(counts: ImageCounts, frames: NDArray[np.int64]) -> ImageCounts:
    assert counts.boundary is not None
    return ImageCounts(counts.overall[frames], counts.boundary[frames], counts.images)
