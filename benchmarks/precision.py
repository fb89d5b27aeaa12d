"""Full-width FCN-8s from a uint8 image to labels: PyTorch, ONNX Runtime in FP32 and INT8, OpenVINO on the same files.

Run with `python -m benchmarks.precision`; it takes about two minutes and 4 GB. Weights are random: the time of dense
arithmetic does not depend on them, and accuracy is not judged here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcn_deploy.bench.latency import Budget, measure
from fcn_deploy.data.dataset import iterate, open_dataset
from fcn_deploy.graph.export import export_model
from fcn_deploy.inputs.dataset import DataOptions
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.optional import require
from fcn_deploy.precision.quantize import QuantizeOptions, quantize
from fcn_deploy.runners.base import LABELS, Runner
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.spec import VOC_CLASSES

from . import ratio

SIZE = "360x480"
THREADS = 2
BUDGET = Budget(iterations=15, seconds=600, warmup=3)
OURS = "INT8 for CPUs, ONNX Runtime"


class OpenVino(Runner):
    """A peer as a user would write it: an ONNX file compiled for the CPU with default options."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name, None)
        core = require("openvino").Core()
        self._request = core.compile_model(str(path), "CPU", {"INFERENCE_NUM_THREADS": THREADS}).create_infer_request()
        self._image: NDArray[np.uint8] | None = None

    def _upload(self, image: NDArray[np.uint8]) -> None:
        self._image = image

    def _execute(self) -> None:
        self._request.infer([self._image])

    def _download(self) -> dict[str, NDArray[Any]]:
        return {LABELS: self._request.get_output_tensor(0).data.copy()}

    def _close(self) -> None:
        self._request = None


def make_files(folder: Path) -> tuple[Path, Path]:
    """The FP32 file and its INT8 form for CPUs, calibrated on four generated scenes."""
    card = new_card("fcn8s", VOC_CLASSES)
    export_model(build(card), card, folder / "fp32.onnx")
    images = folder / "images"
    images.mkdir()
    for index, sample in enumerate(iterate(open_dataset(f"synthetic:4:1:{SIZE}"))):
        Image.fromarray(sample.image).save(images / f"{index}.png")
    data = DataOptions(source=str(images))
    quantize(QuantizeOptions(folder / "fp32.onnx", "int8", data, target="cpu"), folder / "int8.onnx")
    return folder / "fp32.onnx", folder / "int8.onnx"


@contextmanager
def runners(fp32: Path, int8: Path) -> Iterator[dict[str, Runner]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(runner)
            for name, runner in (
                (OURS, open_runner("onnxruntime", str(int8), threads=THREADS)),
                ("FP32, ONNX Runtime", open_runner("onnxruntime", str(fp32), threads=THREADS)),
                ("FP32, PyTorch eager", open_runner("pytorch", str(fp32), threads=THREADS)),
                ("FP32, OpenVINO (its own default type)", OpenVino("openvino", fp32)),
                ("INT8 for CPUs, OpenVINO", OpenVino("openvino:int8", int8)),
            )
        }


def main() -> None:
    image = open_dataset(f"synthetic:1:0:{SIZE}")[0].image[None]
    with tempfile.TemporaryDirectory() as folder, runners(*make_files(Path(folder))) as cases:
        _, samples = measure(list(cases.values()), [image], BUDGET)
    totals = {
        name: [sum(steps) / 1e6 for steps in zip(sample.upload_ns, sample.execute_ns, sample.download_ns, strict=True)]
        for name, sample in zip(cases, samples, strict=True)
    }
    if failed := [f"{name}: {sample.failure}" for name, sample in zip(cases, samples, strict=True) if sample.failure]:
        raise SystemExit("; ".join(failed))
    rows = [ratio.row(f"FCN-8s, width 1, {SIZE}, {THREADS} threads", totals, OURS)]
    print(ratio.render(rows))
    print(ratio.write("precision", rows, ("fcn-deploy", "numpy", "torch", "onnxruntime-gpu", "openvino")))


if __name__ == "__main__":
    main()
