"""Full-width FCN-8s on a GPU, uint8 image to uint8 labels on the host: peers as a user would write them, and ours.

As in `peers`, weights are random, and beside each row stands the time of its multiply-adds at the speed of the GPU's
own matrix product in the same type. Convolutions of float32 compute in TF32, PyTorch's and ONNX Runtime's default.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from benchmarks import limits, peer_programs, ratio
from benchmarks.peer_programs import Image
from benchmarks.peers import FACTS, OURS, Field, program_of, race
from benchmarks.suite import Measured
from fcn_deploy.audit.audit import audit
from fcn_deploy.benchmark.model_files import ModelFiles
from fcn_deploy.benchmark.runner_specs import parse_spec
from fcn_deploy.card import VOC_CLASSES, ModelCard
from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.errors import RunnerError
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.environment import gpu_names


def measure(
    model: str,
    width: float,
    sizes: Sequence[str],
    ours: Mapping[str, str],
    device: str,
    rounds: int,
    pause_s: float,
    compile_seconds: float,
) -> Measured:
    """A row a size.

    Args:
        sizes: "HxW".
        ours: spec, as `fcn-deploy bench --runners` takes it -> the type of its convolutions.
        device: of the peers, as PyTorch calls it.
        compile_seconds: given to torch.compile for each size.

    Raises:
        RunnerError: PyTorch finds no GPU.
    """
    names = gpu_names()
    if device == "cuda" and not names:
        raise RunnerError(
            "PyTorch finds no NVIDIA GPU, and this suite measures one; python -m benchmarks peers does without"
        )
    torch.manual_seed(0)
    card = new_card(model, VOC_CLASSES, width=width)
    network = build(card).eval()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        export_model(network, card, folder / "fp32.onnx", shapes=((1, 33, 47),))
        files = ModelFiles(stack.enter_context(ModelSource(str(folder / "fp32.onnx"))), folder)
        opened = {spec: stack.enter_context(files.open(parse_spec(spec))) for spec in ours}
        notes = {OURS + spec: list(runner.notes) for spec, runner in opened.items()}
        products = limits.gpu_products(device)
        rows = []
        for size in sizes:
            image = open_dataset(f"synthetic:1:0:{size}")[0].image
            found = their_programs(network, card, image, folder / "user.onnx", device, compile_seconds)
            for spec, runner in opened.items():
                found.add(OURS + spec, program_of(runner), ours[spec])
            height, wide = image.shape[:2]
            count = audit(folder / "fp32.onnx", height=height, width=wide).macs
            rows.append(race(f"{model}, width {width:g}, {size}", found, image, products, count, rounds, pause_s))
    facts = {**FACTS, "warm_ups": ratio.WARM_UPS, "notes": notes}
    return rows, facts | ({"device": names[0]} if device == "cuda" else {})


def their_programs(
    network: torch.nn.Module, card: ModelCard, image: Image, path: Path, device: str, compile_seconds: float
) -> Field:
    """PyTorch eager, in half precision and compiled, and ONNX Runtime: logits come back to the host, as is common."""
    found = Field()
    on_device = copy.deepcopy(network).to(device)
    half = copy.deepcopy(on_device).half()
    found.add("PyTorch eager", peer_programs.pytorch(on_device, card, device), "TF32")
    found.add("PyTorch eager, FP16", peer_programs.pytorch(half, card, device, torch.half), "FP16")
    try:
        program = peer_programs.compiled(on_device, card, image, compile_seconds, device=device)
        found.add("torch.compile", program, "TF32")
    except RunnerError as error:
        found.not_run["torch.compile"] = str(error)
    peer_programs.export_logits(network, image, card, path)
    provider = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
    found.add("ONNX Runtime", peer_programs.onnxruntime(path, card, provider), "TF32")
    return found
