"""Give a name to one of a command's files, folders, classes or nodes: one command line for each."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import helper

from fcn_deploy.card import CARD_KEY
from tests.hostile.commands import CALIBRATION, CLASSES, ON_ONNX
from tests.hostile.onnx_network import network

Line = Callable[[str, Path, Path, Path], list[object]]  # (name, the user's folder, that of odd names, outputs)


def _named(folder: Path, name: str, source: Path) -> Path:
    """Copy a file into the folder, under the name with the source's ending."""
    path = folder / f"{name}{source.suffix}"
    shutil.copyfile(source, path)
    return path


def _image(name: str, own: Path, folder: Path) -> Path:
    _named(folder, f"{name}.label", own / "label.png")
    return _named(folder, name, own / "image.png")


def _list(name: str, own: Path, folder: Path) -> Path:
    image = _image(name, own, folder)
    listed = folder / "list.txt"
    listed.write_bytes(os.fsencode(f"{image.name}\t{name}.label.png\n"))
    return listed


def _folders(name: str, own: Path, folder: Path) -> list[object]:
    for kind in ("image", "label"):
        (folder / f"{kind}s").mkdir()
        _named(folder / f"{kind}s", name, own / f"{kind}.png")
    return [folder / "images", "--labels", folder / "labels", "--classes", CLASSES]


def _model(name: str, own: Path, folder: Path) -> Path:
    return _named(folder, name, own / "good.onnx")


def _of_classes(name: str, own: Path, folder: Path) -> Path:
    """Write the network with the name as a class's."""
    model = network(folder / "m.onnx")
    card = json.loads(next(each.value for each in model.metadata_props if each.key == CARD_KEY))
    card["classes"][1] = name
    helper.set_model_props(model, {CARD_KEY: json.dumps(card)})
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


def _of_nodes(name: str, own: Path, folder: Path) -> Path:
    """Write the network with the name as that of its convolution and of the convolution's result."""
    model = network(folder / "m.onnx")
    for node in model.graph.node:
        node.name = name if node.op_type == "Conv" else node.name
        node.output[:] = [name if each == "convolved" else each for each in node.output]
        node.input[:] = [name if each == "convolved" else each for each in node.input]
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"


def _classes(name: str, folder: Path) -> Path:
    path = folder / "classes.txt"
    path.write_bytes(os.fsencode(f"red\n{name}\nblue\n"))
    return path


def _map(name: str, folder: Path) -> Path:
    path = folder / "map.toml"
    words = json.dumps(name.encode(errors="surrogateescape").decode(errors="replace"))
    path.write_text(f'{words} = "red"\n', encoding="utf-8")
    return path


def _bench(model: object, data: object, out: Path, *more: object) -> list[object]:
    return [
        "bench", model, "--data", data, "--runners", "onnxruntime", "--iterations", "2", "--warmup", "0",
        "--saturation", "0", "--no-memory", "--details", "--json", out / "b.json", "--html", out / "b.html",
        "--csv", out / "b.csv", "--markdown", out / "b.md", *more
    ]  # fmt: skip


def _split(name: str, own: Path, at: Path, out: Path) -> list[object]:
    """Return a training on a folder of two images of which one is validated on, whose list is written."""
    data = _folders(name, own, at)
    for kind in ("image", "label"):
        _named(at / f"{kind}s", "other", own / f"{kind}.png")
    return [
        "train", "--data", *data, "--val", "0.5", "--width", "0.02", "--epochs", "1", "--crop", "32x32", "--batch", "1",
        "--device", "cpu", "-o", out / "run"
    ]  # fmt: skip


LABELLED = ("--classes", CLASSES)
LINES: dict[str, Line] = {
    "image of predict": lambda name, own, at, out: [
        "predict", own / "good.onnx", _image(name, own, at), "-o", out / "labels", "--overlay",
        "--areas", out / "areas.csv", "--json", out / "p.json"
    ],
    "folder of predict": lambda name, own, at, out: (_image(name, own, at), [
        "predict", own / "good.onnx", at, "-o", out / "labels", "--areas", out / "areas.csv", "--json", "-"
    ])[-1],
    "list of predict": lambda name, own, at, out: [
        "predict", own / "good.onnx", _list(name, own, at), "-o", out / "labels"
    ],
    "output of predict": lambda name, own, at, out: [
        "predict", own / "good.onnx", own / "image.png", "-o", out / name, "--json", out / f"{name}.json"
    ],
    "image of evaluate": lambda name, own, at, out: [
        "evaluate", own / "good.onnx", "--data", _list(name, own, at), *LABELLED, "--html", out / "e.html",
        "--json", out / "e.json"
    ],
    "folders of data check": lambda name, own, at, out: [
        "data", "check", *_folders(name, own, at), "--json", out / "d.json", "-o", out / "d.png"
    ],
    "list of data check": lambda name, own, at, out: ["data", "check", _list(name, own, at), *LABELLED],
    "image of int8": lambda name, own, at, out: [
        "quantize", own / "good.onnx", "--precision", "int8", "--quantize-first", "--quantize-scores",
        "--calib", _list(name, own, at), "-o", out / "q.onnx"
    ],
    "image of bench": lambda name, own, at, out: _bench(own / "good.onnx", _list(name, own, at), out, *LABELLED),
    "image of diagnose": lambda name, own, at, out: [
        "diagnose", own / "good.onnx", own / "good.onnx", "--data", _list(name, own, at), "--json", out / "d.json"
    ],
    "split of train": _split,
    "model of inspect": lambda name, own, at, out: ["inspect", _model(name, own, at), "--json", out / "i.json"],
    "model of audit": lambda name, own, at, out: ["audit", _model(name, own, at), "--json", out / "a.json"],
    "model of evaluate": lambda name, own, at, out: [
        "evaluate", _model(name, own, at), "--data", own / "list.txt", *LABELLED, "--html", out / "e.html"
    ],
    "model of bench": lambda name, own, at, out: _bench(_model(name, own, at), own / "list.txt", out, *LABELLED),
    "model of package": lambda name, own, at, out: ["package", _model(name, own, at), "-o", out / "models"],
    "name of package": lambda name, own, at, out: [
        "package", own / "good.onnx", "-o", out / "models", f"--name={name}"
    ],
    "model of build-engine": lambda name, own, at, out: ON_ONNX["build-engine"](_model(name, own, at), own, out),
    "output of fp16": lambda name, own, at, out: [
        "quantize", own / "good.onnx", "--precision", "fp16", "-o", out / f"{name}.onnx", "--json", out / f"{name}.json"
    ],
    "output of choose": lambda name, own, at, out: [
        "choose", own / "good.onnx", "--runners", "onnxruntime", "--precisions", "fp32", "--data", own / "list.txt",
        *LABELLED, "--max-miou-drop", "1", "-o", out / f"{name}.onnx"
    ],
    "images of choose": lambda name, own, at, out: [
        "choose", own / "good.onnx", "--runners", "onnxruntime", "--precisions", "fp32", *LABELLED,
        "--data", own / "list.txt", "--calib", _image(name, own, at).parent, "--max-miou-drop", "1",
        "-o", out / "c.onnx"
    ],
    "record of bench": lambda name, own, at, out: ["bench", "--from", _named(at, name, own / "list.txt")],
    "recipe of inspect": lambda name, own, at, out: ["inspect", at / f"{name}.toml"],
    "class map of evaluate": lambda name, own, at, out: [
        "evaluate", own / "good.onnx", "--data", own / "list.txt", *LABELLED, "--map", _map(name, at)
    ],
    "class of inspect": lambda name, own, at, out: ["inspect", _of_classes(name, own, at), "--json", "-"],
    "class of predict": lambda name, own, at, out: [
        "predict", _of_classes(name, own, at), own / "image.png", "-o", out / "labels", "--areas", out / "areas.csv"
    ],
    "class of package": lambda name, own, at, out: [
        "package", _of_classes(name, own, at), "--name", "m", "-o", out / "models"
    ],
    "class of data check": lambda name, own, at, out: [
        "data", "check", own / "list.txt", "--classes", _classes(name, at), "--json", out / "d.json",
        "-o", out / "d.png"
    ],
    "class of evaluate": lambda name, own, at, out: [
        "evaluate", _of_classes(name, own, at), "--data", own / "list.txt", "--classes", _classes(name, at),
        "--html", out / "e.html", "--json", out / "e.json"
    ],
    "class of bench": lambda name, own, at, out: _bench(
        _of_classes(name, own, at), own / "list.txt", out, "--classes", _classes(name, at), "--junit", out / "j.xml",
        "--max-miou-drop", "1"
    ),
    "node of inspect": lambda name, own, at, out: ["inspect", _of_nodes(name, own, at), "--json", out / "i.json"],
    "node of audit": lambda name, own, at, out: ["audit", _of_nodes(name, own, at)],
    "node of int8": lambda name, own, at, out: [
        "quantize", _of_nodes(name, own, at), "--precision", "int8", "--quantize-first", "--quantize-scores",
        "--calib", CALIBRATION, "-o", out / "q.onnx", "--json", "-"
    ],
    "node of diagnose": lambda name, own, at, out: [
        "diagnose", own / "good.onnx", _of_nodes(name, own, at), "--data", own / "list.txt"
    ],
    "unknown command": lambda name, own, at, out: [name],
    "unknown option": lambda name, own, at, out: ["inspect", f"--x{name}"],
    "unknown class": lambda name, own, at, out: [
        "evaluate", own / "good.onnx", "--data", own / "list.txt", *LABELLED, f"--reference={name}"
    ],
}  # fmt: skip
