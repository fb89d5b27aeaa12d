"""Every command that takes an ONNX file, on the smallest data that shows what it makes of the file."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.kind import Command

# The others write little and start fast; these meet their cases in `make hostile`.
SLOW = ("choose", "bench", "build-engine", "int8")
CLASSES = "red,green,blue"
CALIBRATION = "synthetic:2:1:33x47"


def _image(folder: Path) -> Path:
    return folder / "image.png"


# name -> (file, folder of the other inputs, folder for outputs) -> arguments
ON_ONNX: dict[str, Command] = {
    "inspect": lambda file, own, out: ["inspect", file],
    "audit": lambda file, own, out: ["audit", file],
    "fp16": lambda file, own, out: ["quantize", file, "--precision", "fp16", "-o", out / "q.onnx"],
    "int8": lambda file, own, out: [
        "quantize", file, "--precision", "int8", "--calib", CALIBRATION, "-o", out / "q.onnx"
    ],
    "diagnose": lambda file, own, out: ["diagnose", own / "good.onnx", file, "--data", own / "list.txt"],
    "diagnose-first": lambda file, own, out: ["diagnose", file, own / "good.onnx", "--data", own / "list.txt"],
    "bench": lambda file, own, out: [
        "bench", file, "--data", own / "list.txt", "--classes", CLASSES,
        "--runners", "onnxruntime", "--iterations", "3", "--warmup", "0", "--no-memory"
    ],
    "build-engine": lambda file, own, out: ["build-engine", file, "--opt", "1x32x48", "-o", out / "m.engine"],
    "package": lambda file, own, out: ["package", file, "--name", "m", "-o", out / "models"],
    "predict": lambda file, own, out: ["predict", file, _image(own), "-o", out / "labels"],
    "predict-openvino": lambda file, own, out: [
        "predict", file, _image(own), "-o", out / "labels", "--runner", "openvino"
    ],
    "predict-pytorch": lambda file, own, out: [
        "predict", file, _image(own), "-o", out / "labels", "--runner", "pytorch"
    ],
    "evaluate": lambda file, own, out: ["evaluate", file, "--data", own / "list.txt", "--classes", CLASSES],
    "adopt": lambda file, own, out: ["adopt", file, "--no-normalisation", "-o", out / "a.onnx"],
    "watch": lambda file, own, out: ["watch", file, _image(own), "--calib", CALIBRATION],
    "choose": lambda file, own, out: [
        "choose", file, "--runners", "onnxruntime", "--precisions", "fp32,fp16",
        "--data", own / "list.txt", "--classes", CLASSES,
        "--max-miou-drop", "1", "-o", out / "c.onnx"
    ],
    "export": lambda file, own, out: ["export", file, "-o", out / "e.onnx"],
}  # fmt: skip
