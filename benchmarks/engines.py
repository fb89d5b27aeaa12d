"""Building engines: time, peak memory and size by model and precision, next to Polygraphy on the same typed files.

Each command runs in a new process each time, they take turns, and both drive the same TensorRT for RTX; no GPU is
needed. Ours checks the file first, audits it, and compares the builder's layer list with it; Polygraphy builds and
writes. Weights are random.

It takes about ten minutes and 4 GB with full-width networks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks import ratio
from benchmarks.suite import Measured
from fcn_deploy.data.options import DataOptions
from fcn_deploy.data.synthetic.dataset import SYNTHETIC_CLASSES
from fcn_deploy.engine.sidecar import read_sidecar
from fcn_deploy.errors import EngineError
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.system.process import how_it_ended
from fcn_deploy.vocabulary import Profile, Shape, shape_text

PROFILE = Profile((1, 32, 32), (1, 360, 480), (1, 1080, 1920))
POLL_S = 0.05
OURS, THEIRS = "fcn-deploy build-engine", "polygraphy convert"


def typed_files(model: str, width: float, folder: Path) -> Iterator[tuple[str, Path]]:
    """Return (precision, file) of a network with random weights, calibrated on two generated scenes."""
    card = new_card(model, SYNTHETIC_CLASSES, width=width)
    fp32 = folder / f"{model}.onnx"
    export_model(build(card), card, fp32, shapes=((1, 33, 47),))
    yield "FP32", fp32
    scenes = DataOptions("synthetic:2")
    for precision in ("fp16", "int8", "int8+fp16"):
        path = folder / f"{model}.{precision}.onnx"
        quantize(fp32, path, precision=precision, calibration=scenes)
        yield precision.upper(), path
        path.unlink()


def commands(onnx: Path, folder: Path) -> dict[str, tuple[list[str], Path]]:
    """Return each tool's command and the engine that it writes."""
    ours, theirs = folder / "ours.engine", folder / "theirs.engine"
    sizes = [f"--{word}={shape_text(shape)}" for word, shape in _shapes()]
    convert = ["-c", "import sys; from polygraphy.tools import main; sys.exit(main())", "convert", str(onnx)]
    shapes = [part for word, shape in _shapes() for part in (f"--trt-{word}-shapes", _dims(shape))]
    return {
        OURS: ([sys.executable, "-m", "fcn_deploy", "build-engine", str(onnx), *sizes, "-o", str(ours)], ours),
        THEIRS: ([sys.executable, *convert, "--convert-to", "trt", *shapes, "-o", str(theirs)], theirs),
    }


def _shapes() -> tuple[tuple[str, Shape], ...]:
    return ("min", PROFILE.min), ("opt", PROFILE.opt), ("max", PROFILE.max)


def _dims(shape: Shape) -> str:
    return f"image:[{','.join(map(str, (*shape, 3)))}]"


def run(command: list[str]) -> tuple[float, int]:
    """Return the milliseconds of a command, and the peak of resident bytes of it and its children.

    Raises:
        EngineError: it failed; its last line is in the message.
    """
    started = time.perf_counter()
    environment = os.environ | {"POLYGRAPHY_USE_TENSORRT_RTX": "1"}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(POLL_S)
        if process.returncode != 0:
            raise EngineError(f"{' '.join(command[:4])} ... {how_it_ended(process.returncode, errors)}")
    return (time.perf_counter() - started) * 1e3, peak


def _resident(pid: int) -> int:
    try:
        parent = psutil.Process(pid)
        return sum(process.memory_info().rss for process in (parent, *parent.children(recursive=True)))
    except psutil.Error:
        return 0


def compare(question: str, onnx: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Both tools in turn on one file, each time from nothing."""
    cases = commands(onnx, folder)
    samples: dict[str, list[float]] = {name: [] for name in cases}
    peaks: dict[str, int] = dict.fromkeys(cases, 0)
    sizes: dict[str, int] = {}
    builder = 0
    for _ in range(rounds):
        for name, (command, engine) in cases.items():
            took, peak = run(command)
            samples[name].append(took)
            peaks[name] = max(peaks[name], peak)
            sizes[name] = engine.stat().st_size
            builder = max(builder, read_sidecar(engine).peak_bytes or 0) if name == OURS else builder
            for path in folder.glob(f"{engine.name}*"):
                path.unlink()
    record = ratio.row(question, samples, OURS)
    peaks["fcn-deploy build-engine, its builder's process"] = builder
    return record | {"onnx_bytes": onnx.stat().st_size, "engine_bytes": sizes, "peak_bytes": peaks}


def measure(networks: Sequence[tuple[str, float]], rounds: int) -> Measured:
    """Return a row for each network, by model and width, and precision."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model, width in networks:
            for precision, onnx in typed_files(model, width, folder):
                rows.append(compare(f"{model}, width {width:g}, {precision}", onnx, folder, rounds))
    return rows, {"warm_ups": 0, "rounds": rounds, "profile": str(PROFILE)}
