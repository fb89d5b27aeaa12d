"""The whole files that mutations damage, one of each format, and the commands that read them."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from fcn_deploy.benchmark.record.file import to_json
from fcn_deploy.card import CARD_KEY
from fcn_deploy.models.registry import build
from fcn_deploy.quantization.quantize import quantize
from tests.api.bindings import RELEASES
from tests.hostile.commands import CALIBRATION, CLASSES, ON_ONNX, SLOW
from tests.hostile.kind import Command
from tests.hostile.onnx_network import SMALL, network
from tests.support.bench_records import RECORD
from tests.support.tensorrt_api import write_engine

Make = Callable[[Path], list[Path]]
TENSORRT = next(release for release in reversed(RELEASES) if release.flavor == "tensorrt")


@dataclass(frozen=True)
class Base:
    """One kind of file.

    Attributes:
        make: writes it into a folder, with others that it needs; the first is the one that is named.
        commands: those that read it.
        seeds: how many damaged files `make hostile` tries.
        slow: commands that are left out of the default test run.
        damaged: how many of the files are damaged, in turn; the others stay whole.
        rewritten: whether a command that succeeds may write the damaged file again, as one of its own.
    """

    make: Make
    commands: dict[str, Command]
    seeds: int = 2000
    slow: tuple[str, ...] = ()
    damaged: int = 1
    rewritten: bool = False


def _onnx(folder: Path) -> list[Path]:
    network(folder / "m.onnx")
    return [folder / "m.onnx"]


def _state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: tensor.contiguous() for name, tensor in build(SMALL).state_dict().items()}


def _safetensors(folder: Path) -> list[Path]:
    save_file(_state(), folder / "m.safetensors", {CARD_KEY: SMALL.to_json()})
    return [folder / "m.safetensors"]


def _pth(*, legacy: bool) -> Make:
    def make(folder: Path) -> list[Path]:
        torch.save(
            {"model": _state(), "epoch": 3, "args": {"lr": 0.1}}, folder / "m.pth",
            _use_new_zipfile_serialization=not legacy,
        )  # fmt: skip
        return [folder / "m.pth"]

    return make


def _engine(folder: Path) -> list[Path]:
    path = write_engine(folder / "m.engine", TENSORRT, {})
    path.write_bytes(b"ftrt" + bytes(200))
    sidecar = path.with_name("m.engine.json")
    plain = json.loads(sidecar.read_text(encoding="utf-8"))
    import hashlib

    plain["plan_sha256"], plain["plan_bytes"] = hashlib.sha256(path.read_bytes()).hexdigest(), 204
    sidecar.write_text(json.dumps(plain), encoding="utf-8")
    return [path, sidecar]


RECIPE = """\
name = "mine"
model = "fcn32s"
checkpoint = "m.safetensors"
classes = ["red", "green", "blue"]
mean = [10.0, 20.0, 30.0]
std = [2.0, 1.0, 4.0]
channel_order = "RGB"
keep_float = ["score_*"]

[shapes]
min = [1, 33, 47]
opt = [1, 33, 47]
max = [2, 64, 64]

[[published]]
metric = "mean IU, %"
value = 65.5
dataset = "VOC"
source = "a paper"
"""


def _recipe(folder: Path) -> list[Path]:
    (folder / "r.toml").write_text(RECIPE, encoding="utf-8")
    return [folder / "r.toml", *_safetensors(folder)]


def _record(folder: Path) -> list[Path]:
    for name in ("r.json", "whole.json"):
        (folder / name).write_text(to_json(RECORD), encoding="utf-8")
    return [folder / "r.json", folder / "whole.json"]


def _calibration_cache(folder: Path) -> list[Path]:
    network(folder / "m.onnx")
    quantize(
        folder / "m.onnx", folder / "q.onnx", precision="int8", calibration=CALIBRATION, quantize_first=True,
        quantize_scores=True, calibration_cache=folder / "c.cache",
    )  # fmt: skip
    return [folder / "c.cache", folder / "q.onnx"]


def _picture(format: str, mode: str) -> Make:
    def make(folder: Path) -> list[Path]:
        pixels = np.random.default_rng(0).integers(0, 3 if mode == "L" else 256, (33, 47, 3), dtype=np.uint8)
        image = Image.fromarray(pixels if mode == "RGB" else pixels[..., 0])
        exif = Image.Exif()
        exif[0x0112] = 6
        stream = io.BytesIO()
        image.save(stream, format, **({"exif": exif} if mode == "RGB" else {}))
        path, other = folder / f"x.{format.lower()}", folder / "other.png"
        path.write_bytes(stream.getvalue())
        Image.fromarray(pixels if mode == "L" else np.zeros((47, 33), np.uint8)).save(other)
        pair = (path, other) if mode == "RGB" else (other, path)
        (folder / "list.txt").write_text(f"{pair[0].name} {pair[1].name}\n", encoding="utf-8")
        return [path, other, folder / "list.txt"]

    return make


def _check(file: Path, own: Path, out: Path) -> list[object]:
    return ["data", "check", file.with_name("list.txt"), "--classes", CLASSES]


def _predict(file: Path, own: Path, out: Path) -> list[object]:
    return ["predict", own / "good.onnx", file, "-o", out / "labels"]


_CHECKPOINT: dict[str, Command] = {
    "inspect": lambda file, own, out: ["inspect", file],
    "predict": lambda file, own, out: ["predict", file, own / "image.png", "-o", out / "labels"],
    "export": lambda file, own, out: ["export", file, "-o", out / "e.onnx"],
}
BASES: dict[str, Base] = {
    "mutated .onnx": Base(_onnx, ON_ONNX, 2500, SLOW),
    "mutated .safetensors": Base(_safetensors, _CHECKPOINT, slow=("export",)),
    "mutated .pth": Base(_pth(legacy=False), _CHECKPOINT, slow=("export",)),
    "mutated .pth, old format": Base(_pth(legacy=True), _CHECKPOINT, slow=("export",)),
    "mutated .engine with sidecar": Base(_engine, {
        "inspect": lambda file, own, out: ["inspect", file],
        "package": lambda file, own, out: ["package", file, "--name", "m", "-o", out / "models"],
        "evaluate": lambda file, own, out: ["evaluate", file, "--data", own / "list.txt", "--classes", CLASSES],
        "inspect-sidecar": lambda file, own, out: ["inspect", f"{file}.json"],
    }, damaged=2),
    "mutated recipe": Base(_recipe, {
        "inspect": lambda file, own, out: ["inspect", file],
        "fp16": lambda file, own, out: [
            "quantize", own / "good.onnx", "--precision", "fp16", "--recipe", file, "-o", out / "q.onnx"
        ],
    }),
    "mutated record": Base(_record, {
        "from": lambda file, own, out: ["bench", "--from", file],
        "baseline": lambda file, own, out: ["bench", "--from", file.with_name("whole.json"), "--baseline", file],
        "html": lambda file, own, out: ["bench", "--from", file, "--html", out / "r.html"],
    }),
    "mutated calibration cache": Base(_calibration_cache, {
        "int8": lambda file, own, out: [
            "quantize", own / "good.onnx", "--precision", "int8", "--calib", CALIBRATION, "--quantize-first",
            "--quantize-scores", "--calib-cache", file, "-o", out / "q.onnx"
        ],
        "watch": lambda file, own, out: ["watch", file.with_name("q.onnx"), own / "image.png", "--calib-cache", file],
    }, rewritten=True),
    "mutated PNG": Base(_picture("PNG", "RGB"), {"check": _check, "predict": _predict}),
    "mutated PNG label map": Base(_picture("PNG", "L"), {"check": _check}),
    "mutated JPEG": Base(_picture("JPEG", "RGB"), {"check": _check, "predict": _predict}),
}  # fmt: skip


@cache
def whole_files(name: str) -> dict[str, bytes]:
    """Return the whole files of a base by name, the one that is named first; they are made once."""
    with tempfile.TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in BASES[name].make(Path(folder))}
