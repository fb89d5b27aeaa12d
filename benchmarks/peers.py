"""Full-width FCN-8s end to end, uint8 image to uint8 labels: peers as a user would write them, and ours, in turn.

Next to each row is the time that the network's multiply-adds would take at the speed of this machine's fastest
matrix product in the same type, measured in the same rounds. Weights are random: the time of dense arithmetic does not
depend on them, and accuracy is judged by the suite `quantization`, on a trained network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image as Images

from benchmarks import limits, peer_programs, ratio
from benchmarks.peer_programs import Image, Program
from benchmarks.suite import Measured
from fcn_deploy.audit.audit import audit
from fcn_deploy.benchmark.model_files import ModelFiles
from fcn_deploy.benchmark.runner_specs import parse_spec
from fcn_deploy.card import VOC_CLASSES, ModelCard
from fcn_deploy.data.dataset import iterate, open_dataset
from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import RunnerError
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.runners.base import Runner
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.vocabulary import INPUT, LABELS

OURS = "fcn-deploy, "
# Of the labels, for programs that compute as the reference does; random weights put many logits close together.
SAME = {"FP32": 0.999, "TF32": 0.97}
FACTS = {
    "accuracy": "not judged here: random weights; see the suite quantization, where INT8 is that of a trained network"
}


@dataclass
class Field:
    """The programs of one image size: name -> program, the type it computes in, or why it did not run."""

    programs: dict[str, Program] = field(default_factory=dict)
    computes_in: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, program: Program, kind: str) -> None:
        self.programs[name], self.computes_in[name] = program, kind


def measure(
    model: str,
    width: float,
    sizes: Sequence[str],
    ours: Mapping[str, str],
    cores: int,
    rounds: int,
    pause_s: float,
    compile_seconds: float,
) -> Measured:
    """Return a row per size.

    Args:
        sizes: "HxW".
        ours: spec, as `fcn-deploy bench --runners` takes it -> the type of its convolutions.
        cores: that all may use, ours and theirs.
        compile_seconds: given to torch.compile for each size.
    """
    ratio.keep_to(cores)
    torch.manual_seed(0)
    card = new_card(model, VOC_CLASSES, width=width)
    network = build(card).eval()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        export_model(network, card, folder / "fp32.onnx", shapes=((1, 33, 47),))
        files = ModelFiles(
            stack.enter_context(ModelSource(str(folder / "fp32.onnx"))), folder, calibration=scenes(folder, sizes[0])
        )
        opened = {spec: stack.enter_context(files.open(parse_spec(spec), threads=cores)) for spec in ours}
        notes = {OURS + spec: list(runner.notes) for spec, runner in opened.items()}
        products = limits.products(cores)
        rows = []
        for size in sizes:
            image = open_dataset(f"synthetic:1:0:{size}")[0].image
            found = their_programs(network, card, image, folder / "user.onnx", compile_seconds)
            for spec, runner in opened.items():
                found.add(OURS + spec, program_of(runner), ours[spec])
            height, wide = image.shape[:2]
            count = audit(folder / "fp32.onnx", height=height, width=wide).macs
            question = f"{model}, width {width:g}, {size}, {cores} cores"
            rows.append(race(question, found, image, products, count, rounds, pause_s))
    return rows, {**FACTS, "warm_ups": ratio.WARM_UPS, "notes": notes}


def scenes(folder: Path, size: str) -> DataOptions:
    """Four generated scenes to calibrate with, as files without labels."""
    images = folder / "images"
    images.mkdir()
    for index, sample in enumerate(iterate(open_dataset(f"synthetic:4:1:{size}"))):
        Images.fromarray(sample.image).save(images / f"{index}.png")
    return DataOptions(str(images))


def their_programs(
    network: torch.nn.Module, card: ModelCard, image: Image, path: Path, compile_seconds: float
) -> Field:
    found = Field()
    found.add("PyTorch eager", peer_programs.pytorch(network, card), "FP32")
    try:
        found.add("torch.compile", peer_programs.compiled(network, card, image, compile_seconds), "FP32")
    except RunnerError as error:
        found.not_run["torch.compile"] = str(error)
    peer_programs.export_logits(network, image, card, path)
    found.add("ONNX Runtime", peer_programs.onnxruntime(path, card), "FP32")
    found.add("OpenVINO", *peer_programs.openvino(path, card))
    return found


def program_of(runner: Runner) -> Program:
    return lambda image: runner.infer({INPUT: image[None]})[LABELS][0]


def race(
    question: str,
    found: Field,
    image: Image,
    products: Mapping[tuple[str, str], limits.Product],
    multiply_adds: int,
    rounds: int,
    pause_s: float,
    settle_ms: float = 0.0,
    is_ours: Callable[[str], bool] = lambda name: name.startswith(OURS),
    product_rounds: int | None = None,
) -> dict[str, Any]:
    """Time all programs and products in turn; `ours` is the fastest of ours, or of all if none of ours ran.

    With `product_rounds` the products have so many rounds of their own, after the programs.
    """
    same = agreement(found, image)
    cases: dict[str, Callable[[], object]] = {name: _call(program, image) for name, program in found.programs.items()}
    named = {key: f"{key[1]}, {key[0]} product" for key in products}
    multiply: dict[str, Callable[[], object]] = {named[key]: product.call for key, product in products.items()}
    apart = product_rounds is not None
    samples = ratio.time_ms(cases if apart else cases | multiply, rounds, pause_s=pause_s, settle_ms=settle_ms)
    if product_rounds is not None:
        samples |= ratio.time_ms(multiply, product_rounds, warm_ups=1)
    multiplied = {key: samples.pop(name) for key, name in named.items()}
    best = min(
        filter(is_ours, samples) if any(map(is_ours, samples)) else samples, key=lambda name: median(samples[name])
    )
    return {
        **ratio.row(question, samples, best),
        "computes_in": found.computes_in,
        "not_run": found.not_run,
        "same_labels": same,
        "multiply_adds": multiply_adds,
        "limit_ms": {
            kind: multiply_adds / limits.speed(kind, products, multiplied) for kind in {key[0] for key in products}
        },
        "products_ms": {named[key]: values for key, values in multiplied.items()},
    }


def agreement(found: Field, image: Image) -> dict[str, float]:
    """Share of pixels that each program labels as the first does; SystemExit if one of its type, or FP32, does not."""
    labels = {name: program(image) for name, program in found.programs.items()}
    first = next(iter(labels.values()))
    same = {name: float(np.mean(given == first)) for name, given in labels.items()}
    wrong = [name for name, share in same.items() if share < SAME.get(found.computes_in[name], 0)]
    if wrong or len(np.unique(first)) < 2:
        raise SystemExit(f"{', '.join(wrong) or 'the network'} labels otherwise; a time would mean nothing: {same}")
    return same


def _call(program: Program, image: Image) -> Callable[[], Image]:
    return lambda: program(image)
