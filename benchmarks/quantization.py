"""What each precision does to a trained network's accuracy and time, next to other tools' INT8.

Every file is made from one FP32 file, calibrated with the same images, scored on the same others and timed on one
image, all in turn. Other tools' files are compared with ours of the CPU target: what a user of either gets.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import quantizers, ratio, tuning
from benchmarks.quantization_rows import Scored, against, row
from benchmarks.suite import Measured
from fcn_deploy.card import ModelCard, ignore_index_for
from fcn_deploy.data.dataset import iterate
from fcn_deploy.data.digests import Frames, overlap
from fcn_deploy.data.options import DataOptions, open_for_model
from fcn_deploy.graph.load import read_card
from fcn_deploy.metrics.boundary import Evaluation
from fcn_deploy.quantization.calibration.images import CalibrationSet, open_checked
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.system.files import sha256
from fcn_deploy.vocabulary import INPUT, LABELS, Target

RADIUS = 3  # half width of the boundary band in pixels
FP32, OURS = "FP32", "INT8, cpu"
TARGETS: tuple[Target, ...] = ("cpu", "tensorrt")
CORRECTIONS: dict[str, dict[str, Any]] = {
    "": {"equalize": False},
    ", equalised": {"equalize": True},
    ", biases corrected": {"equalize": False, "correct_bias": True},
    ", equalised, biases corrected": {"equalize": True, "correct_bias": True},
}
HERE, ELSEWHERE = "onnxruntime", "openvino"
IN_BOTH = (FP32, OURS, quantizers.NNCF)  # scored and timed in OpenVINO too
Maker = Callable[[Path], object]


@dataclass(frozen=True)
class Plan:
    """What the files are made of, and from.

    Attributes:
        source: the FP32 file.
        folder: train.txt, val.txt and classes.txt.
        calibration: training images that calibrate.
        validation: 0 takes all.
        methods: of choosing ranges, next to the default, each with a row for each target.
        tuned: the training in INT8 arithmetic; None leaves those rows out.
    """

    source: Path
    folder: Path
    calibration: int
    validation: int
    methods: Sequence[str]
    tuned: tuning.Tuning | None

    @property
    def calibration_data(self) -> DataOptions:
        return DataOptions(str(self.folder / "train.txt"), limit=self.calibration)

    @property
    def validation_data(self) -> DataOptions:
        return DataOptions(str(self.folder / "val.txt"), limit=self.validation or None)


def measure(
    model: str,
    data: str,
    checkpoint: str,
    epochs: int,
    crop: str,
    methods: Sequence[str],
    calibration: int,
    validation: int,
    rounds: int,
    cores: int,
) -> Measured:
    """Return the rows of all files, FP32 first, and the record's circumstances.

    Args:
        model: an FP32 .onnx file that `fcn-deploy export` wrote.
        data: a folder with train.txt, val.txt and classes.txt.
        checkpoint: that the file was exported from, for training in INT8 arithmetic on train.txt; "" leaves it out.
        epochs, crop: of that training.
        methods, calibration, validation: as in `Plan`.
        rounds: calls of each file that are timed, in turn, on `cores` cores.
    """
    folder = Path(data)
    tuned = tuning.Tuning(Path(checkpoint), str(folder / "train.txt"), epochs, crop) if checkpoint else None
    return measure_plan(Plan(Path(model), folder, calibration, validation, methods, tuned), rounds, cores)


def measure_plan(plan: Plan, rounds: int, cores: int) -> Measured:
    """Make every file, score it, then time all of them in turn."""
    quantizers.check_installed()
    logging.disable(logging.WARNING)  # onnxruntime's and NNCF's advice
    ratio.keep_to(cores)
    card = read_card(plan.source)
    images = open_checked(card, plan.calibration_data)
    with tempfile.TemporaryDirectory() as made:
        files = make_files(plan, images, Path(made))
        specs = {(name, HERE): path for name, path in files.items()}
        specs |= {(name, ELSEWHERE): files[name] for name in IN_BOTH}
        scored = {key: score(path, card, plan.validation_data, key[1]) for key, path in specs.items()}
        samples = time_files(specs, next(iterate(open_for_model(card, plan.validation_data))).image, rounds, cores)
        fp32, rows = scored[FP32, HERE], []
        for key, path in specs.items():
            rows.append(row(*key, path, scored[key], fp32, card.classes) | {"samples_ms": samples[key]})
    for one in rows:
        if one["name"] in quantizers.NAMES:
            ours = {target: scored[f"INT8, {target}", HERE] for target in TARGETS}
            ours["cpu"] = scored[OURS, one["runner"]]
            one["against"] = against(ours, scored[one["name"], one["runner"]])
    return rows, circumstances(plan, images)


def make_files(plan: Plan, images: CalibrationSet, folder: Path) -> dict[str, Path]:
    """Return name -> file, FP32 first. Ours share one calibration cache, so the images are run once."""
    makers = ours(plan, folder / "calibration") | quantizers.peers(
        plan.source, lambda: _arrays(images, plan.calibration), plan.calibration
    )
    files = {FP32: plan.source}
    for number, (name, make) in enumerate(makers.items()):
        files[name] = folder / f"{number}.onnx"
        make(files[name])
    if plan.tuned is not None:
        files |= tuning.tuned_files(plan.tuned, plan.calibration_data, folder)
    return files


def ours(plan: Plan, cache: Path) -> dict[str, Maker]:
    """Return name -> what writes the file, the default of each precision and target first."""

    def maker(**options: Any) -> Maker:
        return partial(_quantise, plan, cache=cache, **options)

    made = {
        "FP16": maker(precision="fp16"),
        "BF16": lambda path: quantize(plan.source, path, precision="bf16", calibration=plan.calibration_data),
        "FP8, tensorrt": maker(precision="fp8"),
    }
    for target in TARGETS:
        for words, options in CORRECTIONS.items():
            made[f"INT8, {target}{words}"] = maker(precision="int8", target=target, **options)
        for method in plan.methods:
            made[f"INT8, {target}, ranges by {method}"] = maker(
                precision="int8", target=target, method=method, equalize=False
            )
    return made | {"INT8+FP16, tensorrt": maker(precision="int8+fp16", equalize=False)}


def _quantise(plan: Plan, path: Path, cache: Path, **options: Any) -> None:
    quantize(plan.source, path, calibration=plan.calibration_data, calibration_cache=cache, **options)


def _arrays(images: CalibrationSet, count: int) -> Iterator[NDArray[np.uint8]]:
    return iter(images.first(count))


def score(path: Path, card: ModelCard, validation: DataOptions, runner_name: str = HERE) -> Scored:
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


def time_files(
    specs: Mapping[tuple[str, str], Path], image: NDArray[np.uint8], rounds: int, cores: int
) -> dict[tuple[str, str], list[float]]:
    """Return milliseconds of each call, uint8 image to uint8 labels; all files take turns."""
    with ExitStack() as stack:
        runners = {
            " in ".join(key): stack.enter_context(open_runner(key[1], str(path), threads=cores))
            for key, path in specs.items()
        }
        calls = {name: partial(_infer, runner, image) for name, runner in runners.items()}
        samples = ratio.time_ms(calls, rounds, warm_ups=1)
    return {key: samples[" in ".join(key)] for key in specs}


def _infer(runner: Runner, image: NDArray[np.uint8]) -> object:
    return runner.infer({INPUT: image[None]})[LABELS]


def circumstances(plan: Plan, images: CalibrationSet) -> dict[str, Any]:
    """Network and images by name and hash; no path of this machine."""
    card, frames = read_card(plan.source), Frames()
    for sample in iterate(open_for_model(None, plan.validation_data)):
        frames.add(sample)
    return {
        "model": {"name": card.model, "options": dict(card.options), "sha256": sha256(plan.source)},
        "data": plan.folder.name,
        "classes": list(card.classes),
        "calibration_images": [str(Path(name).relative_to(plan.folder)) for name in images.coverage.frames.names],
        "validation_images": len(frames.names),
        "images_in_both": len(overlap(images.coverage.frames, frames).shared),
        "boundary_radius": RADIUS,
        "interval": "95 %, paired bootstrap over the validation images",
        "tuned": None if plan.tuned is None else plan.tuned.facts,
    }
