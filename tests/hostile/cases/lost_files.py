"""Files of the user that an output would replace: every option that writes, pointed at an input.

A case makes the user's files and the command line; whatever the command answers, each file stays as it was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.hostile.cases.external_data import external
from tests.hostile.commands import CALIBRATION, CLASSES
from tests.hostile.kind import Kind, Outcome, Pair
from tests.hostile.place import Place

Arguments = list[object]
Line = Callable[[Path, Path, Path], Arguments]  # (folder of the user, the output's path, folder for outputs)

# What an output may be given as, where the user's file is at the first path.
WAYS: dict[str, Callable[[Path, Path], Path]] = {}


def way(function: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
    WAYS[function.__name__] = function
    return function


@way
def itself(file: Path, place: Path) -> Path:
    return file


@way
def dotted(file: Path, place: Path) -> Path:
    return file.parent / "." / ".." / file.parent.name / file.name


@way
def link(file: Path, place: Path) -> Path:
    (place / f"link{file.suffix}").symlink_to(file)
    return place / f"link{file.suffix}"


@way
def hard_link(file: Path, place: Path) -> Path:
    os.link(file, place / f"hard{file.suffix}")
    return place / f"hard{file.suffix}"


@way
def folder_link(file: Path, place: Path) -> Path:
    (place / "folder").symlink_to(file.parent, target_is_directory=True)
    return place / "folder" / file.name


def _bench(data: Path, *more: object) -> Arguments:
    return [
        "bench", data / "m.onnx", "--data", data / "list.txt", "--classes", CLASSES, "--runners", "onnxruntime",
        "--iterations", "2", "--warmup", "0", "--no-memory", *more
    ]  # fmt: skip


def _evaluate(data: Path, *more: object) -> Arguments:
    return [
        "evaluate",
        data / "m.onnx",
        "--data",
        data / "list.txt",
        "--classes",
        CLASSES,
        "--map",
        data / "map.toml",
        *more,
    ]


def _int8(data: Path, *more: object) -> Arguments:
    return [
        "quantize",
        data / "m.onnx",
        "--precision",
        "int8",
        "--calib",
        CALIBRATION,
        "--quantize-first",
        "--quantize-scores",
        *more,
    ]


def _choose(data: Path, *more: object) -> Arguments:
    return [
        "choose", data / "m.onnx", "--runners", "onnxruntime", "--precisions", "fp32", "--data", data / "list.txt",
        "--classes", CLASSES, "--max-miou-drop", "1", *more
    ]  # fmt: skip


def _predict(data: Path, *more: object) -> Arguments:
    return ["predict", data / "m.onnx", data / "images.txt", *more]


def _train(data: Path, *more: object) -> Arguments:
    return [
        "train", "--data", data / "list.txt", "--classes", CLASSES, "--width", "0.02", "--epochs", "1", "--crop",
        "32x32", "--device", "cpu", "--batch", "1", *more
    ]  # fmt: skip


# name -> (the input that the output is given as, the command line)
ONTO_INPUT: dict[str, tuple[str, Line]] = {
    "inspect-json": ("m.onnx", lambda data, to, out: ["inspect", data / "m.onnx", "--json", to]),
    "inspect-json-weights": ("weights.bin", lambda data, to, out: ["inspect", data / "e.onnx", "--json", to]),
    "inspect-json-recipe": ("r.toml", lambda data, to, out: ["inspect", data / "r.toml", "--json", to]),
    "inspect-json-sidecar": ("m.engine.json", lambda data, to, out: ["inspect", data / "m.engine", "--json", to]),
    "audit-json": ("m.onnx", lambda data, to, out: ["audit", data / "m.onnx", "--json", to]),
    "diagnose-json": ("m.onnx", lambda data, to, out: [
        "diagnose", data / "m.onnx", data / "good.onnx", "--data", data / "list.txt", "--json", to
    ]),
    "diagnose-json-list": ("list.txt", lambda data, to, out: [
        "diagnose", data / "m.onnx", data / "good.onnx", "--data", data / "list.txt", "--json", to
    ]),
    "evaluate-json-map": ("map.toml", lambda data, to, out: _evaluate(data, "--json", to)),
    "evaluate-html-label": ("label.png", lambda data, to, out: _evaluate(data, "--html", to)),
    "evaluate-html-reference": ("good.onnx", lambda data, to, out: _evaluate(
        data, "--reference", data / "good.onnx", "--html", to
    )),
    "bench-html": ("m.onnx", lambda data, to, out: _bench(data, "--html", to)),
    "bench-csv-image": ("image.png", lambda data, to, out: _bench(data, "--csv", to)),
    "bench-markdown-list": ("list.txt", lambda data, to, out: _bench(data, "--markdown", to)),
    "bench-json-weights": ("weights.bin", lambda data, to, out: [
        "bench", data / "e.onnx", *_bench(data, "--json", to)[2:]
    ]),
    "fp16": ("m.onnx", lambda data, to, out: ["quantize", data / "m.onnx", "--precision", "fp16", "-o", to]),
    "fp16-weights": ("weights.bin", lambda data, to, out: [
        "quantize", data / "e.onnx", "--precision", "fp16", "-o", to
    ]),
    "fp16-recipe": ("r.toml", lambda data, to, out: [
        "quantize", data / "m.onnx", "--precision", "fp16", "--recipe", data / "r.toml", "-o", to
    ]),
    "int8": ("m.onnx", lambda data, to, out: _int8(data, "-o", to)),
    "int8-cache": ("m.onnx", lambda data, to, out: _int8(data, "-o", out / "q.onnx", "--calib-cache", to)),
    "int8-list": ("list.txt", lambda data, to, out: [
        "quantize", data / "m.onnx", "--precision", "int8", "--calib", data / "list.txt", "-o", to
    ]),
    "int8-image": ("image.png", lambda data, to, out: [
        "quantize", data / "m.onnx", "--precision", "int8", "--calib", data / "list.txt", "-o", to
    ]),
    "search-log": ("notes.txt", lambda data, to, out: _int8(
        data, "-o", out / "q.onnx", "--data", data / "list.txt", "--max-miou-drop", "1", "--search-log", to
    )),
    "search-log-model": ("m.onnx", lambda data, to, out: _int8(
        data, "-o", out / "q.onnx", "--data", data / "list.txt", "--max-miou-drop", "1", "--search-log", to
    )),
    "adopt": ("m.onnx", lambda data, to, out: ["adopt", data / "m.onnx", "--no-normalisation", "-o", to]),
    "export-recipe": ("r.toml", lambda data, to, out: ["export", data / "r.toml", "-o", to]),
    "export": ("w.safetensors", lambda data, to, out: ["export", data / "w.safetensors", "-o", to]),
    "build-engine": ("m.onnx", lambda data, to, out: ["build-engine", data / "m.onnx", "--opt", "1x33x47", "-o", to]),
    "build-engine-list": ("list.txt", lambda data, to, out: [
        "build-engine", data / "m.onnx", "--precision", "int8", "--calib", data / "list.txt", "--opt", "1x33x47",
        "-o", to
    ]),
    "choose": ("m.onnx", lambda data, to, out: _choose(data, "-o", to)),
    "choose-image": ("image.png", lambda data, to, out: _choose(data, "-o", to)),
    "choose-work": ("m.onnx", lambda data, to, out: _choose(data, "-o", out / "c.onnx", "--work", to)),
    "watch-json-image": ("image.png", lambda data, to, out: [
        "watch", data / "m.onnx", data / "image.png", "--calib", CALIBRATION, "--json", to
    ]),
    "watch-json-cache": ("c.cache", lambda data, to, out: [
        "watch", data / "m.onnx", data / "image.png", "--calib-cache", data / "c.cache", "--json", to
    ]),
    "predict": ("image.png", lambda data, to, out: _predict(data, "-o", to)),
    "predict-model": ("m.onnx", lambda data, to, out: _predict(data, "-o", to)),
    "predict-areas-image": ("image.png", lambda data, to, out: _predict(data, "-o", out / "maps", "--areas", to)),
    "predict-areas-list": ("images.txt", lambda data, to, out: _predict(data, "-o", out / "maps", "--areas", to)),
    "predict-json-model": ("m.onnx", lambda data, to, out: _predict(data, "-o", out / "maps", "--json", to)),
    "data-sheet-image": ("image.png", lambda data, to, out: [
        "data", "check", data / "list.txt", "--classes", CLASSES, "-o", to
    ]),
    "data-json-list": ("list.txt", lambda data, to, out: [
        "data", "check", data / "list.txt", "--classes", CLASSES, "--json", to
    ]),
    "train-json-list": ("list.txt", lambda data, to, out: _train(
        data, "--val", data / "list.txt", "-o", out / "run", "--json", to
    )),
    "package-json": ("m.onnx", lambda data, to, out: [
        "package", data / "m.onnx", "--name", "m", "-o", out / "models", "--json", to
    ]),
}  # fmt: skip


def _user_files(place: Place, folder: Path) -> None:
    """Put the user's files into `folder`."""
    for name in ("image.png", "label.png", "list.txt", "good.onnx"):
        shutil.copy(place.own / name, folder / name)
    shutil.copy(place.own / "good.onnx", folder / "m.onnx")
    external("weights.bin")(folder).rename(folder / "e.onnx")
    shutil.copy(place.own / "good.onnx", folder / "m.onnx")
    (folder / "images.txt").write_text("image.png\n", encoding="utf-8")
    (folder / "map.toml").write_text("".join(f'{name} = "{name}"\n' for name in CLASSES.split(",")), encoding="utf-8")
    (folder / "notes.txt").write_text("the user's\n", encoding="utf-8")
    for name in ("m.engine", "w.safetensors", "c.cache"):
        (folder / name).write_bytes(b"of the user")
    (folder / "m.engine.json").write_text(json.dumps({"schema": 1}), encoding="utf-8")
    (folder / "r.toml").write_text('name = "mine"\nmodel = "fcn8s"\ncheckpoint = "w.safetensors"\n', encoding="utf-8")


def _onto_input(place: Place, case: str, name: str) -> Outcome:
    file, line = ONTO_INPUT[case]

    def make(folder: Path) -> Path:
        _user_files(place, folder)
        return WAYS[name](folder / file, folder)

    return Outcome.of(place.attempt(make, lambda to, own, out: line(out.parent / "case" / "in", to, out)))


def _pairs() -> Iterator[Pair]:
    for case in ONTO_INPUT:
        for name in WAYS:
            yield case, name


KINDS = [Kind("outputs onto inputs", _pairs, _onto_input, default=70)]
