"""Pipes, sockets, devices, folders and loops of links where a plain file belongs: refused in one line, at once."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.hostile.bases import whole_files
from tests.hostile.commands import CALIBRATION, CLASSES, ON_ONNX
from tests.hostile.kind import Kind, Outcome, Pair
from tests.hostile.place import Place


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


# What is at the path of the file.
THINGS: dict[str, Callable[[Path], None]] = {
    "fifo": os.mkfifo,
    "socket": _socket,
    "zero": lambda path: path.symlink_to("/dev/zero"),
    "null": lambda path: path.symlink_to("/dev/null"),
    "loop": lambda path: path.symlink_to(path.name),
    "long-loop": lambda path: (path.symlink_to("other"), (path.parent / "other").symlink_to(path.name), None)[-1],
    "dangling": lambda path: path.symlink_to("nowhere"),
    "folder": Path.mkdir,
    "below-a-file": lambda path: None,  # see `_make`
}


def _bench(own: Path, *more: object) -> list[object]:
    return [
        "bench", own / "good.onnx", "--data", own / "list.txt", "--classes", CLASSES, "--runners", "onnxruntime",
        "--iterations", "2", "--warmup", "0", "--no-memory", *more
    ]  # fmt: skip


def _int8(own: Path, out: Path, *more: object) -> list[object]:
    return [
        "quantize", own / "good.onnx", "--precision", "int8", "--calib", CALIBRATION, "--quantize-first",
        "--quantize-scores", "-o", out / "q.onnx", *more
    ]  # fmt: skip


def _quantised(out: Path) -> Path:
    path = out.parent / "case" / "q.onnx"
    path.write_bytes(whole_files("mutated calibration cache")["q.onnx"])
    return path


def _list(out: Path, *words: object) -> Path:
    (out.parent / "case" / "list.txt").write_text("\t".join(map(str, words)) + "\n", encoding="utf-8")
    return out.parent / "case" / "list.txt"


# name -> (name of the file that is no plain file, the command line)
PLACES: dict[str, tuple[str, Callable[[Path, Path, Path], list[object]]]] = {
    **{f"model of {name}": ("m.onnx", line) for name, line in ON_ONNX.items()},
    "checkpoint of inspect": ("m.pth", lambda file, own, out: ["inspect", file]),
    "checkpoint of predict": ("m.safetensors", lambda file, own, out: [
        "predict", file, own / "image.png", "-o", out / "labels"
    ]),
    "checkpoint of train": ("m.safetensors", lambda file, own, out: [
        "train", "--data", own / "list.txt", "--val", own / "list.txt", "--classes", CLASSES, "--width", "0.02",
        "--epochs", "1", "--crop", "32x32", "--device", "cpu", "--init", file, "-o", out / "run"
    ]),
    "engine of inspect": ("m.engine", lambda file, own, out: ["inspect", file]),
    "sidecar of inspect": ("m.engine.json", lambda file, own, out: ["inspect", file]),
    "reference of evaluate": ("m.onnx", lambda file, own, out: [
        "evaluate", own / "good.onnx", "--reference", file, "--data", own / "list.txt", "--classes", CLASSES
    ]),
    "recipe of inspect": ("r.toml", lambda file, own, out: ["inspect", file]),
    "recipe of export": ("r.toml", lambda file, own, out: ["export", file, "-o", out / "e.onnx"]),
    "recipe of quantize": ("r.toml", lambda file, own, out: _int8(own, out, "--recipe", file)),
    "recipe of choose": ("r.choice.toml", lambda file, own, out: ["choose", file, "-o", out / "c.onnx"]),
    "record of bench": ("r.json", lambda file, own, out: ["bench", "--from", file]),
    "baseline of bench": ("r.json", lambda file, own, out: _bench(own, "--baseline", file)),
    "class map of evaluate": ("m.toml", lambda file, own, out: [
        "evaluate", own / "good.onnx", "--data", own / "list.txt", "--classes", CLASSES, "--map", file
    ]),
    "cache of watch": ("c.cache", lambda file, own, out: [
        "watch", _quantised(out), own / "image.png", "--calib-cache", file
    ]),
    "image of predict": ("x.png", lambda file, own, out: ["predict", own / "good.onnx", file, "-o", out / "labels"]),
    "image in a list of predict": ("x.png", lambda file, own, out: [
        "predict", own / "good.onnx", _list(out, file), "-o", out / "labels"
    ]),
    "video of predict": ("x.mp4", lambda file, own, out: ["predict", own / "good.onnx", file, "-o", out / "labels"]),
    "image of evaluate": ("x.png", lambda file, own, out: [
        "evaluate", own / "good.onnx", "--data", _list(out, file, own / "label.png"), "--classes", CLASSES
    ]),
    "label of evaluate": ("x.png", lambda file, own, out: [
        "evaluate", own / "good.onnx", "--data", _list(out, own / "image.png", file), "--classes", CLASSES
    ]),
    "label of data check": ("x.png", lambda file, own, out: [
        "data", "check", _list(out, own / "image.png", file), "--classes", CLASSES
    ]),
    "image of quantize": ("x.png", lambda file, own, out: [
        "quantize", own / "good.onnx", "--precision", "int8", "--calib", _list(out, file), "-o", out / "q.onnx"
    ]),
    "labels of diagnose": ("x.png", lambda file, own, out: [
        "diagnose", own / "good.onnx", "--data", own / "list.txt", "--labels-from", file
    ]),
    "output of fp16": ("q.onnx", lambda file, own, out: [
        "quantize", own / "good.onnx", "--precision", "fp16", "-o", file
    ]),
    "json of inspect": ("x.json", lambda file, own, out: ["inspect", own / "good.onnx", "--json", file]),
    "output of predict": ("x.png", lambda file, own, out: [
        "predict", own / "good.onnx", own / "image.png", "-o", file
    ]),
    "log of quantize": ("log.jsonl", lambda file, own, out: _int8(
        own, out, "--data", own / "list.txt", "--max-miou-drop", "1", "--search-log", file
    )),
}  # fmt: skip
# An output goes through a link that leads nowhere, and the folder of results may be there.
TAKES = {
    ("dangling", "output of fp16"), ("dangling", "json of inspect"), ("dangling", "output of predict"),
    ("folder", "output of predict"), ("dangling", "log of quantize"),
}  # fmt: skip


def _pairs() -> Iterator[Pair]:
    for thing in THINGS:
        for place in PLACES:
            yield thing, place


def _run(place: Place, case: str, command: str) -> Outcome:
    name, line = PLACES[command]

    def make(folder: Path) -> Path:
        if case == "below-a-file":
            shutil.copy(place.own / "list.txt", folder / "file")
            return folder / "file" / name
        THINGS[case](folder / name)
        return folder / name

    if (case, command) in TAKES:
        done = place.attempt(make, line)
        return Outcome(done.code, ["hang"] if done.hung else [], done.reason)
    return Outcome.of(place.attempt(make, line))


KINDS = [Kind("no plain file", _pairs, _run, default=70)]
