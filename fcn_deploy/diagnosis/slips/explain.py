"""Compare the label maps of another program with the reference's labels, and name the slip that explains them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fcn_deploy.data.dataset import Dataset, Sample, iterate
from fcn_deploy.data.images import load_label, open_header, rgb_array
from fcn_deploy.data.options import DataOptions, open_or_generate
from fcn_deploy.diagnosis.slips.network import CutNetwork
from fcn_deploy.diagnosis.slips.search import Forward, Trial, search
from fcn_deploy.diagnosis.slips.slip import Bytes, ForeignFrame
from fcn_deploy.diagnosis.slips.table import slips
from fcn_deploy.errors import DataError
from fcn_deploy.system.arguments import Positive, Threads, checked
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.plain import plain
from fcn_deploy.system.progress import SILENT, Progress

IMAGES = 32  # at most, among which label maps are looked for
FRAMES = 6
SAME = 0.97  # share of equal labels from which an unexplained rest may be the precision's
LIMIT = 0.8  # least share that a named slip explains
HALVED = 0.5  # a named slip leaves less than this share of what no slip, and one label everywhere, leave
PAIR_GAIN = 0.7  # a pair leaves at most this much of what the best single slip leaves
_LABEL_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".webp")
_ORIENTATION = 0x0112
Verdict = Literal["same", "explained", "unexplained"]


@dataclass(frozen=True)
class Explanation:
    """One explanation: the slips in words, what to do, and the share of the labels that are then equal, 0..1."""

    name: str
    fixes: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class SlipReport:
    """What explains the label maps of another program.

    Attributes:
        reference, labels_from, frames: file, folder, number of label maps compared.
        verdict: "same" without a slip, "explained" by `tried[0]`, or "unexplained".
        as_they_are: share of equal labels, 0..1; one_label: that of one label everywhere.
        tried: the best explanations on all frames, the chosen one first.
        label_size, image_size: (H, W) of the first.
        runs: how often the network ran.
    """

    reference: str
    labels_from: str
    frames: int
    verdict: Verdict
    as_they_are: float
    one_label: float
    tried: tuple[Explanation, ...]
    label_size: tuple[int, int]
    image_size: tuple[int, int]
    runs: int

    def to_plain(self) -> dict[str, Any]:
        """Return the report as plain data."""
        found: dict[str, Any] = plain(self)
        return {"kind": "slips", "explained_by": self.tried[0].name if self.verdict == "explained" else None} | found


@checked
def explain_labels(
    reference: StrPath,
    labels_from: StrPath,
    data: StrPath | DataOptions,
    *,
    others: Sequence[StrPath] = (),
    frames: Positive = FRAMES,
    threads: Threads | None = None,
    progress: Progress = SILENT,
) -> SlipReport:
    """Find the slip, or the pair of slips, that explains the label maps of another program.

    Args:
        reference: the .onnx file that the program was meant to run.
        labels_from: the folder of its label maps (indexed or grey), named as the images are.
        data: the images; `DataOptions` for other numbers than 32.
        others: .onnx files that it may have run instead.
        frames: number of label maps that are compared.
        threads: CPU threads; None leaves the number to the runner.

    Raises:
        GraphError: a file cannot be read or cut behind its normalisation.
        DataError: no label map fits an image, or one cannot be read.
    """
    folder = Path(labels_from)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; expected the folder of the other program's label maps")
    with tempfile.TemporaryDirectory(prefix="fcn-deploy-") as parts:
        own = CutNetwork(Path(reference), Path(parts), threads=threads)
        different = {os.fspath(path): CutNetwork(Path(path), Path(parts), threads=threads) for path in others}
        dataset = open_or_generate(own.card, DataOptions.of(data, limit=IMAGES), progress)
        found = _frames(dataset, folder, frames, progress)
        first = found[0]
        label_size = None if first.labels.shape == first.image.shape[:2] else first.labels.shape
        forward = Forward(own, different)
        trials = search(found, slips(first.image.shape[:2], own.normalisation, label_size, tuple(different)), forward)
    return judge(trials, found, own.name, str(folder), forward.runs)


def judge(
    trials: Sequence[Trial], frames: Sequence[ForeignFrame], reference: str, folder: str, runs: int
) -> SlipReport:
    """Choose among `trials`, which hold the one without a slip: the fewest slips that explain about as much."""
    as_they_are = next(trial.share for trial in trials if not trial.slips)
    one_label = float(
        np.mean([np.unique(frame.labels, return_counts=True)[1].max() / frame.labels.size for frame in frames])
    )
    named = [trial for trial in trials if trial.slips]
    alone = next((trial for trial in named if len(trial.slips) == 1), None)
    best = next(iter(named), None)
    if best is not None and alone is not None and 1 - best.share > PAIR_GAIN * (1 - alone.share):
        best = alone
    verdict: Verdict = "same" if as_they_are >= SAME else "unexplained"
    if best is not None and best.share >= LIMIT and 1 - best.share < HALVED * (1 - max(as_they_are, one_label)):
        verdict = "explained"
    ordered = [] if best is None else [best, *(trial for trial in named if trial is not best)]
    tried = tuple(Explanation(t.name, tuple(slip.fix for slip in t.slips), t.share) for t in ordered)
    height, width = frames[0].labels.shape
    size = frames[0].image.shape
    return SlipReport(
        reference,
        folder,
        len(frames),
        verdict,
        as_they_are,
        one_label,
        tried,
        (height, width),
        (size[0], size[1]),
        runs,
    )


def _frames(dataset: Dataset, folder: Path, most: int, progress: Progress) -> list[ForeignFrame]:
    """Return the first images with a label map of the same stem; DataError if there is none."""
    maps = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in _LABEL_SUFFIXES}
    found = []
    for frame in _matched(iterate(dataset, progress=progress), maps):
        found.append(frame)
        if len(found) == most:
            break
    if not found:
        raise DataError(
            f"no label map in {folder} is named as one of the {len(dataset)} images of {dataset.name}; expected "
            "frame1.png for frame1.jpg"
        )
    return found


def _matched(samples: Iterator[Sample], maps: dict[str, Path]) -> Iterator[ForeignFrame]:
    for sample in samples:
        path = maps.get(Path(sample.name).stem)
        if path is not None:
            labels = load_label(path)
            yield ForeignFrame(sample.name, sample.image, _as_stored(Path(sample.name)), labels)


def _as_stored(path: Path) -> Bytes | None:
    """Return the image without its EXIF orientation; None where it has none, or there is no file."""
    if not path.is_file():
        return None
    with open_header(path) as image:
        return rgb_array(image, path) if image.getexif().get(_ORIENTATION, 1) != 1 else None
