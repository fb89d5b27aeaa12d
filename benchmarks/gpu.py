"""FCN-8s on a GPU, uint8 image to uint8 labels on the host: ours, PyTorch at its best, and peers as a user writes them.

As in `peers`, weights of a full-width network are random, and next to each row is the time of its multiply-adds at
the speed of the GPU's own matrix product in the same type. Convolutions of float32 compute in TF32, PyTorch's and ONNX
Runtime's default.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import limits, peer_programs, ratio
from benchmarks.peer_programs import Image, Program
from benchmarks.peers import FACTS, OURS, Field, program_of, race
from benchmarks.suite import Measured
from fcn_deploy.audit.audit import audit
from fcn_deploy.benchmark.model_files import ModelFiles
from fcn_deploy.benchmark.runner_specs import parse_spec
from fcn_deploy.benchmark.timing.energy import EnergyMeter
from fcn_deploy.benchmark.timing.machine import GpuWatch
from fcn_deploy.card import VOC_CLASSES, ModelCard
from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.errors import FcnDeployError, RunnerError, UnknownNameError, first_line
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.runners.base import Runner
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.environment import gpu_names
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.vocabulary import INPUT

# As users write them, by `peer_programs`.
THEIRS = ("PyTorch eager", "PyTorch eager, FP16", "torch.compile", "ONNX Runtime")
OURS_IN_PYTORCH = OURS + "pytorch"
COMPILED = "compile"
PRODUCT_ROUNDS = 3  # a GPU of its own keeps its speed, and one product of float32 takes as long as 80 inferences
FIRST_RUNS = 3  # the second of a shape opens what all later ones run in


@dataclass
class Opened:
    """Our runners, by name; why others failed; the seconds of the first runs of each size; all that were there."""

    runners: dict[str, Runner] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    first_runs_s: dict[str, list[float]] = field(default_factory=dict)
    all: dict[str, Runner] = field(default_factory=dict)

    def open(self, specs: Sequence[str], files: ModelFiles, stack: ExitStack) -> None:
        for spec in specs:
            try:
                runner = stack.enter_context(files.open(parse_spec(spec)))
                runner.tune_at_once = True
                self.runners[OURS + spec] = self.all[OURS + spec] = runner
            except UnknownNameError:
                raise
            except FcnDeployError as error:
                self.failed[OURS + spec] = str(error)

    def warm_up(self, image: Image) -> None:
        """Run each on `image` until it runs as it will; one that fails is out."""
        for name, runner in list(self.runners.items()):
            times = self.first_runs_s.setdefault(name, [])
            try:
                for _ in range(FIRST_RUNS):
                    started = time.perf_counter()
                    runner.infer({INPUT: image[None]})
                    times.append(time.perf_counter() - started)
            except FcnDeployError as error:
                self.failed[name] = str(error)
                del self.runners[name]


def measure(
    model: str,
    width: float,
    sizes: Sequence[str],
    ours: Mapping[str, str],
    theirs: Sequence[str],
    device: str,
    rounds: int,
    pause_s: float,
    settle_ms: float,
    compile_seconds: float,
    energy_s: float,
    budget_s: float,
) -> Measured:
    """Return a row per size.

    Args:
        model: a network of random weights, or "demo".
        sizes: "HxW".
        ours: spec, as `fcn-deploy bench --runners` takes it -> the type of its convolutions.
        theirs: which of `THEIRS` run, at the first size; the first of all is what labels are compared with.
        device: of the peers, as PyTorch calls it.
        settle_ms: how long each turn runs untimed first.
        compile_seconds: given to torch.compile for each size, where it is among `theirs`.
        energy_s: how long each program runs for its joules, where the GPU counts them.
        budget_s: no further size starts after this time, and our compiled rows end after half of it.

    Raises:
        RunnerError: PyTorch finds no GPU.
        UnknownNameError: one of `ours` or `theirs` is not a known name.
    """
    started = time.perf_counter()
    names = gpu_names()
    if device == "cuda" and not names:
        raise RunnerError(
            "PyTorch finds no NVIDIA GPU, and this suite measures one; python -m benchmarks peers does without"
        )
    _check_names(ours, theirs)
    network, card = network_of(model, width)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        export_model(network, card, folder / "fp32.onnx", shapes=((1, 33, 47),))
        files = ModelFiles(stack.enter_context(ModelSource(str(folder / "fp32.onnx"))), folder)
        watch = stack.enter_context(GpuWatch())
        opened = Opened()
        opened.open(list(ours), files, stack)
        products = limits.gpu_products(device)
        rows: list[dict[str, Any]] = []
        left_out: dict[str, str] = {}

        def row_of(size: str) -> dict[str, Any]:
            image = open_dataset(f"synthetic:1:0:{size}")[0].image
            found = Field()
            # Those that run for many milliseconds as users write them are timed at one size only.
            add_theirs(found, network, card, image, folder, device, compile_seconds, () if rows else theirs)
            opened.warm_up(image)
            found.not_run |= opened.failed
            for spec, kind in ours.items():
                if OURS + spec in opened.runners:
                    found.add(OURS + spec, program_of(opened.runners[OURS + spec]), kind)
            height, wide = image.shape[:2]
            count = audit(folder / "fp32.onnx", height=height, width=wide).macs
            question = f"{card.model}, width {card.options.get('width', 1):g}, {size}"
            row = race(question, found, image, products, count, rounds, pause_s, settle_ms, is_answer, PRODUCT_ROUNDS)
            return row | over_pytorch(row) | {"joules": joules_of(found.programs, image, watch, energy_s)}

        for size in sizes:
            taken = time.perf_counter() - started
            if rows and taken > budget_s:
                left_out[size] = f"{taken:.0f} s had passed"
                continue
            _drop_compiled(opened, taken > budget_s / 2)
            try:
                rows.append(row_of(size))
            except Exception as error:  # of CUDA and any library: what was measured before is kept
                if not rows:
                    raise
                left_out[size] = first_line(error)
        notes = {name: list(runner.notes) for name, runner in opened.all.items()}
    facts = {
        **FACTS,
        "warm_ups": ratio.WARM_UPS,
        "sample": f"one call from host to host, behind {settle_ms:g} ms of untimed calls of the same program",
        "notes": notes,
        "first_runs_s": opened.first_runs_s,
        "seconds": time.perf_counter() - started,
        "left_out": left_out,
        "gpu_states": plain(watch.states),
        "nvml": watch.reason,
    }
    return rows, facts | ({"device": names[0]} if device == "cuda" else {})


def network_of(model: str, width: float) -> tuple[torch.nn.Module, ModelCard]:
    """Return the demo, or a network of random weights."""
    if model == "demo":
        return load_network("demo")
    torch.manual_seed(0)
    card = new_card(model, VOC_CLASSES, width=width)
    return build(card).eval(), card


def is_answer(name: str) -> bool:
    """Return whether a program is what we deploy: PyTorch's rows are ours in code, and the baseline."""
    return name.startswith(OURS) and not name.startswith(OURS_IN_PYTORCH)


def over_pytorch(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return PyTorch's fastest program in a row (None if none ran), and how many times as fast each of ours is."""
    medians: Mapping[str, float] = row["median_ms"]
    pytorch = [name for name in medians if name.startswith((OURS_IN_PYTORCH, "PyTorch", "torch."))]
    best = min(pytorch, key=lambda name: medians[name], default=None)
    over = {} if best is None else {name: medians[best] / medians[name] for name in medians if is_answer(name)}
    return {"fastest_pytorch": best, "times_fastest_pytorch": over}


def joules_of(
    programs: Mapping[str, Program], image: Image, watch: GpuWatch, seconds: float
) -> dict[str, dict[str, float]]:
    """Return joules per image by each counter; runs each program alone for `seconds`, then reads the GPU's state."""
    meter, found = EnergyMeter(watch), {}
    if not meter.read() or seconds <= 0:
        return {}
    for name, program in programs.items():
        (count, _), joules = meter.around(partial(_run_for, program, image, seconds))
        found[name] = {counter: used / count for counter, used in joules.items()}
        watch.look()
    return found


def _run_for(program: Program, image: Image, seconds: float) -> tuple[int, float]:
    started, count = time.perf_counter(), 0
    while (taken := time.perf_counter() - started) < seconds or not count:
        program(image)
        count += 1
    return count, taken


def _check_names(ours: Sequence[str] | Mapping[str, str], theirs: Sequence[str]) -> None:
    """Raise UnknownNameError for an unknown name, before anything is timed."""
    for spec in ours:
        parse_spec(spec)
    for name in theirs:
        if name not in THEIRS:
            raise UnknownNameError.of("program", name, THEIRS)


def _drop_compiled(opened: Opened, late: bool) -> None:
    """Compiling a further size takes long."""
    for name in [name for name in opened.runners if late and COMPILED in name.split(":")]:
        opened.failed[name] = "no time was left to compile it for this size"
        del opened.runners[name]


def add_theirs(
    found: Field,
    network: torch.nn.Module,
    card: ModelCard,
    image: Image,
    folder: Path,
    device: str,
    compile_seconds: float,
    wanted: Sequence[str],
) -> None:
    """Add programs as users write them, in the order of `wanted`: logits come back to the host, as is common."""
    on_device = copy.deepcopy(network).to(device)
    for name in wanted:
        program, kind = peer_programs.pytorch(on_device, card, device), "TF32"
        if name == "PyTorch eager, FP16":
            half = copy.deepcopy(on_device).half()
            program, kind = peer_programs.pytorch(half, card, device, torch.half), "FP16"
        elif name == "torch.compile":
            try:
                program = peer_programs.compiled(on_device, card, image, compile_seconds, device=device)
            except RunnerError as error:
                found.not_run[name] = str(error)
                continue
        elif name == "ONNX Runtime":
            peer_programs.export_logits(network, image, card, folder / "user.onnx")
            provider = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
            program = peer_programs.onnxruntime(folder / "user.onnx", card, provider)
        found.add(name, program, kind)
