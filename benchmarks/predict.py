"""Whole runs over folders of JPEGs: `predict`, and a plain loop as a user writes it, with their memory.

The plain loop knows nothing of this package but the file that it exported: Pillow reads an image, an ONNX Runtime
session with its default options (all cores) labels it, Pillow writes the label map, and the next image follows. Both
leave the same label maps (compared), take turns in processes of their own, and are timed from the first image to the
last, with the peak of their memory at half of the images and at the end.

Three more ways show where the difference comes from, once per row: the same loop over the runner that `predict` used,
with all cores; `predict` with a runner that costs nothing; and the inferences alone, of one image over and over.

On a CPU the loop's inference has all cores already, so what there is to gain is the time in which the loop reads and
writes, and a faster inference. On a GPU it is all of that time:

    python -m benchmarks predict --set 'models=["demo:fp16"]' --set 'runners=["onnxruntime:cuda"]' --set images=1000

It takes four minutes. For figures the machine must be quiet.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import ratio
from benchmarks.suite import Measured
from fcn_deploy.data.images import load_image
from fcn_deploy.data.options import DataOptions
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.errors import RecordError
from fcn_deploy.graph.load import read_card
from fcn_deploy.graph.session import load_onnxruntime
from fcn_deploy.prediction import labeller
from fcn_deploy.prediction.image_states import LoadedImage
from fcn_deploy.prediction.inference import open_lanes
from fcn_deploy.prediction.predict import predict
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.sources.lanes import open_runners
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.process import Message, answer_parent, peak_bytes, run_in_child, usable_cores
from fcn_deploy.system.progress import Silent
from fcn_deploy.system.serialization.decode import decode
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.vocabulary import INPUT, LABELS

SIZE = (360, 480)
OURS, LOOP, SAME = "fcn-deploy predict", "a plain loop", "a loop over the same runner"
IO, INFERENCE = "decoding and writing alone", "inference alone"


@dataclass(frozen=True)
class Job:
    """One run over the JPEGs of a folder.

    Attributes:
        runner: as for `predict`; the plain loop has ONNX Runtime on its device, or on the CPU.
        batch: images of one inference, in `predict` and alone; the loops have one.
        workers: of `predict`; 0 is its own choice.
        overlay: whether overlays are written too.
    """

    model: str
    images: str
    target: str
    runner: str = "onnxruntime"
    batch: int = 1
    workers: int = 0
    overlay: bool = False


@dataclass(frozen=True)
class Timed:
    """Seconds of a run, from the first image to the last.

    Attributes:
        steady: images per second in the second half, when a GPU has chosen its kernels; 0 where it was not taken.
        waited: as `PredictReport.waited`.
        half_bytes, peak_bytes: the highest memory of the process at half of the images, and at the end.
        runner: that labelled the images.
    """

    seconds: float
    steady: float = 0.0
    waited: dict[str, float] | None = None
    notes: tuple[str, ...] = ()
    half_bytes: int = 0
    peak_bytes: int = 0
    runner: str = ""


class HalfTime(Silent):
    """Progress that remembers when each image was done, and the peak of memory when half of `count` were."""

    def __init__(self, count: int) -> None:
        self.times: list[float] = []
        self.half_bytes, self._half = 0, count // 2

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Any]:
        yield self

    def advance(self, steps: float = 1, note: str = "") -> None:
        self.times.append(time.perf_counter())
        if len(self.times) == self._half:
            self.half_bytes = peak_bytes()

    def steady(self) -> float:
        """Return the images per second in the second half."""
        half = self.times[len(self.times) // 2 :]
        return (len(half) - 1) / (half[-1] - half[0])


class Idle(Runner):
    """A runner that costs nothing: every label is 0."""

    def _upload(self, image: NDArray[np.uint8]) -> None:
        self._labels = np.broadcast_to(np.uint8(0), image.shape[:3])

    def _execute(self) -> None: ...

    def _download(self) -> dict[str, NDArray[Any]]:
        return {LABELS: self._labels}

    def _close(self) -> None: ...


def write_images(folder: Path, count: int, scenes: int = 400) -> None:
    """Write `count` JPEGs of generated scenes, quality 90; from number `scenes` on, links to the first ones."""
    folder.mkdir()
    data = SyntheticDataset(min(count, scenes), 0, SIZE)
    for index in range(count):
        path = folder / f"{index:05}.jpg"
        if index < len(data):
            Image.fromarray(data[index].image).save(path, quality=90)
        else:
            path.hardlink_to(folder / f"{index % len(data):05}.jpg")


def by_loop(job: Job) -> Timed:
    """Label the images as a user writes it."""
    provider = "CUDAExecutionProvider" if job.runner.endswith(":cuda") else "CPUExecutionProvider"
    session = load_onnxruntime().InferenceSession(job.model, providers=[provider])
    (name,) = (image.name for image in session.get_inputs())
    return _loop(job, palette_of(job.model), lambda image: session.run([LABELS], {name: image[None]})[0][0])


def by_runner(job: Job) -> Timed:
    """The same with the runner of `predict` in place of the session."""
    with open_runner(job.runner, job.model, threads=usable_cores()) as runner:
        return _loop(job, palette_of(job.model), lambda image: runner.infer({INPUT: image[None]})[LABELS][0])


def _loop(job: Job, palette: list[int], infer: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Timed:
    target = Path(job.target)
    target.mkdir(parents=True)
    paths = sorted(Path(job.images).iterdir())
    done = HalfTime(len(paths))
    started = time.perf_counter()
    for path in paths:
        image = np.asarray(Image.open(path).convert("RGB"))
        labels = Image.fromarray(infer(image))
        labels.putpalette(palette)
        labels.save(target / f"{path.stem}.png")
        if job.overlay:
            mixed = Image.blend(Image.fromarray(image), labels.convert("RGB"), 0.5)
            mixed.save(target / f"{path.stem}.overlay.jpg", quality=90)
        done.advance()
    return Timed(time.perf_counter() - started, done.steady(), half_bytes=done.half_bytes)


def palette_of(model: str) -> list[int]:
    """Return the palette of an ONNX file's model card, as Pillow takes it."""
    return [channel for colour in read_card(Path(model)).palette for channel in colour]


def by_predict(job: Job) -> Timed:
    """Run `predict`, with its own defaults for what the job leaves open."""
    done = HalfTime(len([*Path(job.images).iterdir()]))
    report = predict(
        job.model, job.images, job.target, runner=job.runner, batch=job.batch, workers=job.workers or None,
        overlay=0.5 if job.overlay else None, progress=done,
    )  # fmt: skip
    return Timed(
        report.seconds, done.steady(), report.waited, report.notes, half_bytes=done.half_bytes, runner=report.runner
    )


def io_alone(job: Job) -> Timed:
    """Run `predict` with a runner that costs nothing."""
    with patch.object(labeller, "open_runners", lambda source, stack, **options: [Idle("idle", source.card())]):
        return by_predict(job)


def inference_alone(job: Job) -> Timed:
    """Run one image as often as `predict` infers, with as many inferences under way."""
    paths = sorted(Path(job.images).iterdir())
    batch = [LoadedImage(0, PurePosixPath(), load_image(paths[0]))] * job.batch
    with ExitStack() as stack:
        source = stack.enter_context(ModelSource(job.model))
        lanes = stack.enter_context(open_lanes(open_runners(source, stack, runner=job.runner, lanes=None)))
        started = time.perf_counter()
        tickets: deque[Any] = deque()
        for _ in range(0, len(paths), job.batch):
            if len(tickets) == lanes.slots:
                lanes.result(tickets.popleft())
            tickets.append(lanes.submit(batch))
        while tickets:
            lanes.result(tickets.popleft())
        return Timed(time.perf_counter() - started)


WAYS = {OURS: by_predict, LOOP: by_loop, SAME: by_runner, IO: io_alone, INFERENCE: inference_alone}
TIMED = (OURS, LOOP)  # in every round


def in_child(way: str, job: Job) -> Timed:
    """One run in a process of its own."""
    return decode(Timed, run_in_child("benchmarks.predict", [way, plain(job)]), way, RecordError)


def compare(job: Job, folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Return the milliseconds per image of each way, in turn, the memory peaks, and what ours waited for."""
    samples: dict[str, list[float]] = {way: [] for way in WAYS}
    memory: dict[str, list[tuple[int, int]]] = {way: [] for way in TIMED}
    name = f"{Path(job.model).name} {job.runner.replace(':', ' ')} {job.overlay}"
    runs, ours, same = folder / name, [], []
    used = job.runner
    for number in range(rounds):
        for way in WAYS if number == 0 else TIMED:
            asked = replace(job, images=str(folder / str(count)), target=str(runs / f"{way} {number}"))
            timed = in_child(way, asked if way in TIMED else replace(asked, runner=used))
            samples[way].append(1e3 * timed.seconds / count)
            if way in memory:
                memory[way].append((timed.half_bytes, timed.peak_bytes))
            if way == OURS:
                used = timed.runner
                ours.append({"steady_per_s": timed.steady, "waited": timed.waited, "notes": list(timed.notes)})
        # Sums in another order break ties. FP16, BF16 and another library's INT8 round otherwise.
        exact = used == "onnxruntime" and "fp16" not in job.model
        same.append(require_same(runs / f"{OURS} {number}", runs / f"{LOOP} {number}", 1e-5 if exact else 5e-3))
    what = "label maps and overlays" if job.overlay else "label maps"
    question = f"{Path(job.model).stem} to {what}"
    found = {
        "images": count,
        "asked": job.runner,
        "runner": used,
        "same_labels": same,
        "peak_bytes": memory,
        "runs": ours,
    }
    return ratio.row(question, samples, OURS) | found


def require_same(ours: Path, theirs: Path, most: float) -> float:
    """Return the part of the labels that are equal; SystemExit if more than the part `most` differ."""
    differing = pixels = 0
    for path in sorted(theirs.glob("*.png")):
        first, second = np.asarray(Image.open(path)), np.asarray(Image.open(ours / path.name))
        differing += int((first != second).sum())
        pixels += first.size
    if differing > most * pixels:
        raise SystemExit(f"{differing} of {pixels} labels differ; a time would mean nothing")
    return 1 - differing / pixels


def measure(
    models: Sequence[str], rounds: int, runners: Sequence[str], images: int, batch: int, workers: int
) -> Measured:
    """Two rows for each model and runner, without and with overlays.

    Args:
        models: ONNX files, "demo", or "demo:fp16" and "demo:int8" for its file of that type (INT8 for CPUs).
        images: how many; runners, batch, workers: as in `Job`.
    """
    with tempfile.TemporaryDirectory() as name, ModelSource("demo") as demo:
        folder = Path(name)
        write_images(folder / str(images), images)
        files = [file_of(model, demo, folder) for model in models]
        rows = [
            compare(Job(file, "", "", runner, batch, workers, overlay), folder, images, rounds)
            for file in files
            for runner in runners
            for overlay in (False, True)
        ]
    return rows, {"warm_ups": 0}


def file_of(model: str, demo: ModelSource, folder: Path) -> str:
    """Return the ONNX file for a name that `measure` takes."""
    if not model.startswith("demo"):
        return model
    fp32 = demo.file_for("onnxruntime")
    _, _, precision = model.partition(":")
    if not precision:
        return fp32
    target = folder / f"demo.{precision}.onnx"
    calibration = DataOptions("synthetic:20:1") if precision == "int8" else None
    quantize(fp32, target, precision=precision, calibration=calibration, target="cpu")  # type: ignore[arg-type]
    return str(target)


def _time(request: list[Any], send: Message) -> Timed:
    way, job = request
    timed = WAYS[way](decode(Job, job, way, RecordError))
    return replace(timed, peak_bytes=peak_bytes())


if __name__ == "__main__":
    answer_parent(_time)
