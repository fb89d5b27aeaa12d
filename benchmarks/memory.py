"""`python -m benchmarks.memory`: the memory that inferences on a CPU take, next to what is estimated before them.

Each is measured in a process of its own: the growth of its peak over two inferences of one image.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn_deploy.card import VOC_CLASSES
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.system.process import ChildError, answer_parent, peak_bytes, run_in_child
from fcn_deploy.vocabulary import QuantizedPrecision, Target

MIB = 1 << 20
RUNNERS = ("onnxruntime", "openvino", "openvino:fp32", "openvino:bf16", "pytorch")
SIZES = ((512, 640), (720, 1280), (1080, 1920), (1536, 2560))


@dataclass(frozen=True)
class Growth:
    """What one inference took and was estimated to take, in bytes; no estimate is None."""

    measured: int
    estimated: int | None

    @property
    def fits(self) -> bool:
        """Whether the estimate is not a tenth below, nor twice above, but for what allocators keep."""
        low, high = 0.9 * self.measured - 64 * MIB, 2 * self.measured + 64 * MIB
        return self.estimated is not None and low <= self.estimated <= high

    @property
    def ratio(self) -> float:
        return (self.estimated or 0) / max(1, self.measured)


def measure(spec: str, source: Path | str, size: tuple[int, int], batch: int = 1) -> Growth:
    """Run `source` in the runner `spec` on noise of (height, width).

    Raises:
        ChildError, FcnDeployError: it does not run.
    """
    return Growth(**run_in_child("benchmarks.memory", {"spec": spec, "source": str(source), "shape": (batch, *size)}))


def _measure_here(spec: str, source: str, shape: tuple[int, int, int]) -> dict[str, int | None]:
    import numpy as np
    import psutil

    from fcn_deploy.graph.cpu.budget import CAUTION
    from fcn_deploy.runners.registry import open_runner

    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    with open_runner(spec, source) as runner:
        assert runner.memory is not None
        estimated = runner.memory.estimate(tuple(shape))
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
        before = psutil.Process().memory_info().rss
        for _ in range(2):
            runner.infer({"image": image})
        return {
            "measured": peak_bytes() - before,
            "estimated": None if estimated is None else round(CAUTION * estimated),
        }


def _export(folder: Path, name: str, **options: Any) -> Path:
    import torch

    from fcn_deploy.models.registry import build, new_card
    from fcn_deploy.onnx_export.export import export_model

    torch.manual_seed(0)
    path = folder / f"{name}{options.get('width', '')}.onnx"
    card = new_card(name, VOC_CLASSES, **options)
    export_model(build(card), card, path)
    return path


def _quantized(folder: Path, name: str, precision: QuantizedPrecision, target: Target, **options: Any) -> Path:
    from fcn_deploy.quantization.quantize import quantize

    path = _export(folder, name, **options)
    calibration = "synthetic:4:0:120x160" if precision == "int8" else None
    output = path.with_suffix(f".{precision}.onnx")
    quantize(path, output, precision=precision, target=target, calibration=calibration)
    return output


def _foreign(folder: Path) -> Path:
    from fcn_deploy.adoption.adopt import adopt
    from tests.support.foreign_nets import unet

    given = unet(folder / "unet.onnx", levels=4, width=32, classes=21, labels=True)
    adopt(given, folder / "adopted.onnx", mean=(120.0, 120.0, 120.0), std=(60.0, 60.0, 60.0))
    return folder / "adopted.onnx"


MODELS: dict[str, Callable[[Path], Path]] = {
    "FCN-8s, width 0.25": lambda folder: _export(folder, "fcn8s", width=0.25),
    "the same, FP16": lambda folder: _quantized(folder, "fcn8s", "fp16", "tensorrt", width=0.25),
    "the same, INT8 for CPUs": lambda folder: _quantized(folder, "fcn8s", "int8", "cpu", width=0.25),
    "the same, INT8 for TensorRT": lambda folder: _quantized(folder, "fcn8s", "int8", "tensorrt", width=0.25),
    "FCN-8s": lambda folder: _export(folder, "fcn8s"),
    "FCN-8s of Caffe, width 0.25": lambda folder: _export(folder, "fcn8s-caffe", width=0.25),
    "FCN-ResNet-50": lambda folder: _export(folder, "fcn-resnet50"),
    "the same, INT8": lambda folder: _quantized(folder, "fcn-resnet50", "int8", "cpu"),
    "DeepLabv3-ResNet-50": lambda folder: _export(folder, "deeplabv3-resnet50"),
    "a U-Net of another tool": _foreign,
}


def rows(models: list[str], runners: list[str]) -> Iterator[tuple[str, str, tuple[int, int], Growth]]:
    """Yield model, runner, size and what was found; what a runner does not run is left out."""
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            path = MODELS[model](Path(folder))
            for spec in runners:
                for size in SIZES:
                    try:
                        yield model, spec, size, measure(spec, path, size)
                    except (ChildError, FcnDeployError) as error:
                        print(f"# {model}, {spec}: {error}", flush=True)
                        break


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--runners", nargs="+", default=list(RUNNERS))
    given = parser.parse_args()
    print("| model | runner | image | measured, MiB | estimated / measured | |\n|---|---|---|---|---|---|")
    for model, spec, (height, width), found in rows(given.models, given.runners):
        cells = model, spec, f"{height}x{width}", f"{found.measured / MIB:.0f}", f"{found.ratio:.2f}"
        print(f"| {' | '.join(cells)} | {'' if found.fits else 'off'} |", flush=True)


if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2 and sys.argv[1].startswith("{"):
        answer_parent(lambda request, send: _measure_here(**request))
    else:
        main()
