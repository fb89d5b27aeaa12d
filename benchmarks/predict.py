"""Whole runs over folders of JPEGs: `predict` beside a plain loop over the same runner, and what memory does.

The loop reads, infers and writes one image after the other, as one writes it first, with all cores for the inference.
Both have the same options of the runner otherwise, leave the same label maps (compared), take turns in processes of
their own, and are timed from the first image to the last. Memory is the peak of a process that labels so many images.

On a CPU the loop's inference has all cores already, so what there is to gain is the time in which the loop reads and
writes: little beside an FP32 network, more beside an INT8 one or with overlays. On a GPU it is all of that time.

It takes about ten minutes. For figures the machine must be quiet.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import ratio
from benchmarks.suite import Measured
from fcn_deploy.data.options import DataOptions
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.prediction.predict import predict
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.process import Message, answer_parent, peak_bytes, run_in_child, usable_cores
from fcn_deploy.vocabulary import INPUT, LABELS

SIZE = (360, 480)
FEW, MANY = 40, 400
OURS, LOOP = "fcn-deploy predict", "a plain loop"


def write_images(folder: Path, count: int) -> None:
    """`count` generated scenes as JPEGs of quality 90."""
    folder.mkdir()
    scenes = SyntheticDataset(count, 0, SIZE)
    for index in range(count):
        Image.fromarray(scenes[index].image).save(folder / f"{index:04}.jpg", quality=90)


def by_loop(model: str, images: Path, target: Path, overlay: bool) -> float:
    """Seconds of the loop."""
    target.mkdir(parents=True)
    paths = sorted(images.iterdir())
    with open_runner("onnxruntime", model, threads=usable_cores()) as runner:
        assert runner.card is not None
        palette = [channel for colour in runner.card.palette for channel in colour]
        started = time.perf_counter()
        for path in paths:
            image = np.asarray(Image.open(path).convert("RGB"))
            labels = Image.fromarray(runner.infer({INPUT: image[None]})[LABELS][0])
            labels.putpalette(palette)
            labels.save(target / f"{path.stem}.png")
            if overlay:
                mixed = Image.blend(Image.fromarray(image), labels.convert("RGB"), 0.5)
                mixed.save(target / f"{path.stem}.overlay.jpg", quality=90)
        return time.perf_counter() - started


def by_predict(model: str, images: Path, target: Path, overlay: bool) -> float:
    """Seconds of `predict`, with its own choices."""
    return predict(model, images, target, overlay=0.5 if overlay else None).seconds


WAYS = {OURS: by_predict, LOOP: by_loop}


def in_child(way: str, model: str, images: Path, target: Path, overlay: bool) -> tuple[float, int]:
    """(seconds, peak bytes) of one run in a process of its own."""
    seconds, peak = run_in_child("benchmarks.predict", [way, model, str(images), str(target), overlay])
    return seconds, peak


def compare(model: str, folder: Path, rounds: int, overlay: bool) -> dict[str, Any]:
    """Milliseconds an image of both ways, in turn, on the many images; and the peaks for few and many."""
    samples: dict[str, list[float]] = {way: [] for way in WAYS}
    peaks: dict[str, dict[str, int]] = {way: {} for way in WAYS}
    runs = folder / f"{Path(model).name} {overlay}"
    for number in range(rounds):
        for way in WAYS:
            seconds, peak = in_child(way, model, folder / str(MANY), runs / f"{way} {number}", overlay)
            samples[way].append(1e3 * seconds / MANY)
            peaks[way][str(MANY)] = max(peak, peaks[way].get(str(MANY), 0))
        require_same(runs / f"{OURS} {number}", runs / f"{LOOP} {number}")
    for way in WAYS:
        _, peaks[way][str(FEW)] = in_child(way, model, folder / str(FEW), runs / f"{way} few", overlay)
    what = "label maps and overlays" if overlay else "label maps"
    question = f"{MANY} JPEGs, 480 x 360, to {what} by {Path(model).name}"
    return ratio.row(question, samples, OURS) | {"peak_bytes": peaks}


def require_same(ours: Path, theirs: Path) -> None:
    """SystemExit unless the label maps are the same but for ties that another number of threads may break."""
    differing = pixels = 0
    for path in sorted(theirs.glob("*.png")):
        first, second = np.asarray(Image.open(path)), np.asarray(Image.open(ours / path.name))
        differing += int((first != second).sum())
        pixels += first.size
    if differing > 1e-5 * pixels:
        raise SystemExit(f"{differing} of {pixels} labels differ; a time would mean nothing")


def measure(models: Sequence[str], rounds: int) -> Measured:
    """Two rows a model, without and with overlays: ONNX files, "demo", or "demo:int8" for its INT8 file for CPUs."""
    with tempfile.TemporaryDirectory() as name, ModelSource("demo") as demo:
        folder = Path(name)
        for count in (FEW, MANY):
            write_images(folder / str(count), count)
        paths = [file_of(model, demo, folder) for model in models]
        rows = [compare(path, folder, rounds, overlay) for path in paths for overlay in (False, True)]
    return rows, {"warm_ups": 0}


def file_of(model: str, demo: ModelSource, folder: Path) -> str:
    """The ONNX file behind a name that `measure` takes."""
    if not model.startswith("demo"):
        return model
    fp32 = demo.file_for("onnxruntime")
    if model == "demo":
        return fp32
    int8 = folder / "demo.int8.onnx"
    quantize(fp32, int8, precision="int8", calibration=DataOptions("synthetic:20:1"), target="cpu")
    return str(int8)


def _time(request: list[Any], send: Message) -> tuple[float, int]:
    way, model, images, target, overlay = request
    return WAYS[way](model, Path(images), Path(target), overlay), peak_bytes()


if __name__ == "__main__":
    answer_parent(_time)
