"""Every command that writes files, on the smallest inputs; `{out}` is the folder of its outputs, `{own}` the user's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import onnx
import safetensors
from PIL import Image

from fcn_deploy import DataOptions, export, quantize
from tests.support.bench_model import save_small_model
from tests.support.small_fcn import CLASSES, images, write_fcn, write_foreign

Check = Callable[[bytes], None]


def is_json(data: bytes) -> None:
    json.loads(data)


def is_lines(data: bytes) -> None:
    for line in data.decode().splitlines():
        json.loads(line)


def is_tensors(data: bytes) -> None:
    safetensors.deserialize(data)


def is_onnx(data: bytes) -> None:
    onnx.load_model_from_string(data)


def is_recipe(data: bytes) -> None:
    assert data.startswith(b"# Written by fcn-deploy choose"), "no recipe"
    assert data.endswith(b"\n"), "the last line is cut short"


def is_table(data: bytes) -> None:
    assert data.endswith(b"\n"), "the last line is cut short"


def is_page(data: bytes) -> None:
    assert data.lstrip().lower().startswith(b"<!doctype html"), "no page"
    assert data.rstrip().endswith(b"</html>"), "the page is cut short"


@dataclass(frozen=True)
class Writing:
    """A command that writes.

    Attributes:
        arguments: of `fcn-deploy`.
        varying: outputs that no two runs write alike, by pattern: a check that raises if one is not whole.
        kept: patterns of what a stopped run leaves on purpose, for the same command to go on with.
        partial: outputs of a stopped run that are whole, but of an earlier step: a check of such a one.
        spared: outputs without which the command may succeed, if they cannot be written.
        codes: exit codes of a run that nothing disturbs.
        stopped: how the last line after a signal starts.
        rival: another command line that writes the same outputs.
        one: the outputs belong together, so that some of one run and some of another are wrong.
        going_on: a file in the outputs, and the arguments of the next run where a stopped one has left it.
    """

    arguments: str
    varying: Mapping[str, Check] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    partial: Mapping[str, Check] = field(default_factory=dict)
    spared: tuple[str, ...] = ()
    codes: tuple[int, ...] = (0,)
    stopped: str = "interrupted"
    rival: str = ""
    one: bool = False
    going_on: tuple[str, str] = ("", "")

    def words(self, own: Path, out: Path, *, rival: bool = False) -> list[str]:
        name, arguments = self.going_on
        line = self.rival if rival else arguments if name and (out / name).exists() else self.arguments
        return [word.format(own=own, out=out) for word in line.split()]

    def check_of(self, name: str, *, stopped: bool) -> Check | None:
        checks = {**self.varying, **(self.partial if stopped else {})}
        return next((check for pattern, check in checks.items() if fnmatch(name, pattern)), None)

    def spares(self, name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in self.spared)

    def keeps(self, name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in self.kept)


DATA = "--data {own}/list.txt"
CALIB = "--calib {own}/photos"
TIMED = {"*.json": is_json, "*.html": is_page}

COMMANDS: dict[str, Writing] = {
    "quantize fp16": Writing(
        "quantize {own}/net.onnx --precision fp16 -o {out}/q.onnx",
        rival=f"quantize {{own}}/net.onnx --precision int8 {CALIB} -o {{out}}/q.onnx",
    ),
    "quantize int8": Writing(
        f"quantize {{own}}/net.onnx --precision int8 {CALIB} --calib-cache {{out}}/c.cache -o {{out}}/q.onnx",
        spared=("c.cache",),  # one line says that the calibration is not kept
        rival="quantize {own}/net.onnx --precision fp16 -o {out}/q.onnx",
    ),
    "search": Writing(
        f"quantize {{own}}/net.onnx --precision int8 {CALIB} {DATA} --max-miou-drop 50 -o {{out}}/q.onnx",
        varying={"*.jsonl": is_lines}, kept=("*.search.jsonl",),
        rival="quantize {own}/net.onnx --precision fp16 -o {out}/q.onnx",
    ),
    "adopt": Writing(
        "adopt {own}/foreign.onnx --no-normalisation --size 34x46 -o {out}/a.onnx",
        rival="quantize {own}/net.onnx --precision fp16 -o {out}/a.onnx",
    ),
    "package": Writing(
        "package {own}/net.onnx --name m -o {out}/models --force", one=True,
        rival="package {own}/net.onnx --name m -o {out}/models --force --max-batch 2",
    ),
    "predict": Writing(
        "predict {own}/net.onnx {own}/photos -o {out}/labels --overlay --confidence {out}/sure --areas {out}/areas.csv",
        kept=("labels/*", "sure/*", "labels", "sure"),
    ),
    "evaluate": Writing(
        f"evaluate {{own}}/net.onnx {DATA} --json {{out}}/e.json --html {{out}}/e.html", varying=TIMED,
        rival=f"evaluate {{own}}/net.onnx {DATA} --radius 2 --json {{out}}/e.json --html {{out}}/e.html",
    ),
    "diagnose": Writing(
        f"diagnose {{own}}/net.onnx {{own}}/net.onnx {DATA} --json {{out}}/d.json", varying=TIMED,
        rival=f"diagnose {{own}}/net.onnx {{own}}/net.onnx {DATA} --radius 2 --json {{out}}/d.json",
    ),
    "data check": Writing(
        "data check {own}/list.txt --classes road,car,sky -o {out}/d.png --json {out}/d.json", varying=TIMED,
        codes=(0, 3),
    ),
    "watch": Writing(
        f"watch {{own}}/int8.onnx {{own}}/photos {CALIB} --json {{out}}/w.json", varying=TIMED,
        codes=(0, 3),
    ),
    "bench": Writing(
        f"bench {{own}}/net.onnx {DATA} {CALIB} --runners onnxruntime,onnxruntime:int8 --iterations 3 --warmup 0 "
        "--saturation 0 --no-memory --keep {out}/kept --force --json {out}/b.json --html {out}/b.html",
        varying=TIMED,
    ),
    "choose": Writing(
        f"choose {{own}}/exported.onnx --runners onnxruntime --precisions fp32,fp16 {DATA} --max-miou-drop 50 "
        "-o {out}/c.onnx --json {out}/c.json",
        varying={
            "*.onnx": is_onnx, "*.json": is_json, "*.jsonl": is_lines, "*.toml": is_recipe, "*.csv": is_table
        },
        kept=("c.onnx.choose/*", "c.onnx.choose"),
    ),
    "export": Writing(
        "export {own}/net.safetensors -o {out}/e.onnx",
        rival="export {own}/net.safetensors --outputs labels,confidence -o {out}/e.onnx",
    ),
    "train": Writing(
        "train --data synthetic:3:0:33x47 --val synthetic:2:1:37x41 --width 0.02 --epochs 2 --batch 3 --crop 32x48 "
        "--device cpu -o {out}/run",
        varying={"*.jsonl": is_lines, "*.html": is_page, "*/state.safetensors": is_tensors},
        kept=("run/*", "run"), partial={"*.safetensors": is_tensors}, spared=("run/report.html",),
        stopped="stopped: ", going_on=("run/state.safetensors", "train --resume -o {out}/run"),
    ),
    "build-engine": Writing(
        "build-engine {own}/net.onnx --opt 1x34x46 -o {out}/m.engine", varying={"*.json": is_json, "*.engine": len},
        rival="build-engine {own}/net.onnx --opt 1x32x32 -o {out}/m.engine",
    ),
}  # fmt: skip


def write_inputs(own: Path, arguments: str) -> None:
    """Write the user's files that `arguments` name, and three labelled photos."""
    (own / "photos").mkdir(parents=True)
    lines = []
    for index, batch in enumerate(images(3, (1, 34, 46))):
        Image.fromarray(batch[0]).save(own / "photos" / f"{index}.png")
        Image.fromarray((batch[0].argmax(2) % len(CLASSES)).astype(np.uint8)).save(own / f"{index}.label.png")
        lines.append(f"photos/{index}.png {index}.label.png\n")
    (own / "list.txt").write_text("".join(lines), encoding="utf-8")
    for name, write in _MODELS.items():
        if f"{{own}}/{name}" in arguments:
            write(own / name)


def _int8(path: Path) -> None:
    net = write_fcn(path.with_name("of-int8.onnx"))
    quantize(net, path, precision="int8", calibration=DataOptions(str(path.parent / "photos")))


def _exported(path: Path) -> None:
    export(save_small_model(path.with_name("of-exported.safetensors"), CLASSES), path)


_MODELS: Mapping[str, Callable[[Path], object]] = {
    "net.onnx": write_fcn,
    "foreign.onnx": write_foreign,
    "net.safetensors": lambda path: save_small_model(path, CLASSES),
    "exported.onnx": _exported,
    "int8.onnx": _int8,
}
