"""Files of others where a command writes its folder: they stay, whatever `--force`, `--restart` and the like say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.hostile.commands import CALIBRATION, CLASSES
from tests.hostile.harness import attempt, faults
from tests.hostile.kind import Kind, Outcome
from tests.hostile.place import Place

Files = dict[str, bytes]
NOTE = b"the user's\n"
CONFIG = b'name: "m"\nbackend: "python"\nmax_batch_size: 0\n'


def _png(shape: tuple[int, ...]) -> bytes:
    import io

    stream = io.BytesIO()
    Image.fromarray(np.zeros(shape, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _array() -> bytes:
    import io

    stream = io.BytesIO()
    np.save(stream, np.zeros((33, 47), np.uint8))
    return stream.getvalue()


PHOTO, MASK, ARRAY = _png((33, 47, 3)), _png((33, 47)), _array()


@dataclass(frozen=True)
class Case:
    """Files that are in the folder `out` before, and the command line that writes there.

    Attributes:
        stays: the files that must stay; the others may be replaced.
        refused: whether the command must fail.
    """

    files: Files
    line: Callable[[Path, Path], list[object]]  # (the user's folder, out)
    stays: tuple[str, ...]
    refused: bool = True


def _package(*more: object) -> Callable[[Path, Path], list[object]]:
    return lambda own, out: ["package", own / "good.onnx", "--name", "m", "-o", out, *more]


def _train(*more: object) -> Callable[[Path, Path], list[object]]:
    return lambda own, out: [
        "train", "--data", own / "list.txt", "--classes", CLASSES, "--width", "0.02", "--epochs", "1",
        "--crop", "32x32", "--device", "cpu", "--batch", "1", "-o", out, *(more or ("--restart",)),
        *(() if "--val" in more else ("--val", own / "list.txt"))
    ]  # fmt: skip


def _predict(*more: object) -> Callable[[Path, Path], list[object]]:
    return lambda own, out: ["predict", own / "good.onnx", own / "image.png", "-o", out, *more]


def _bench(*more: object) -> Callable[[Path, Path], list[object]]:
    return lambda own, out: [
        "bench", own / "good.onnx", "--data", own / "list.txt", "--classes", CLASSES, "--runners", "onnxruntime:fp16",
        "--iterations", "2", "--warmup", "0", "--no-memory", "--keep", out, *more
    ]  # fmt: skip


def _choose(*more: object) -> Callable[[Path, Path], list[object]]:
    return lambda own, out: [
        "choose", own / "good.onnx", "--runners", "onnxruntime", "--precisions", "fp32", "--data", own / "list.txt",
        "--classes", CLASSES, "--max-miou-drop", "1", "-o", out / "c.onnx", *more
    ]  # fmt: skip


def _int8(*more: object) -> Callable[[Path, Path], list[object]]:
    return lambda own, out: [
        "quantize", own / "good.onnx", "--precision", "int8", "--calib", CALIBRATION, "--quantize-first",
        "--quantize-scores", "-o", out / "q.onnx", *more
    ]  # fmt: skip


def _all(files: Files, line: Callable[[Path, Path], list[object]], *, refused: bool = True) -> Case:
    return Case(files, line, tuple(files), refused)


CASES: dict[str, Case] = {
    "package-folder": _all({"m/notes.txt": NOTE}, _package("--force")),
    "package-folder-plain": _all({"m/notes.txt": NOTE}, _package()),
    "package-file": _all({"m": NOTE}, _package("--force")),
    "package-no-config": _all({"m/1/model.onnx": NOTE, "m/labels.txt": NOTE}, _package("--force")),
    "package-config-of-others": _all({"m/config.pbtxt": NOTE, "m/1/model.onnx": NOTE}, _package("--force")),
    "package-other-version": Case(
        {"m/config.pbtxt": CONFIG, "m/1/model.py": NOTE, "m/1/notes.txt": NOTE, "m/readme.md": NOTE},
        _package("--force", "--version", "2"), ("m/1/model.py", "m/1/notes.txt", "m/readme.md"), refused=False,
    ),
    "package-other-model": _all({"n/config.pbtxt": CONFIG, "n/1/model.onnx": NOTE}, _package(), refused=False),
    "package-no-force": _all({"m/config.pbtxt": CONFIG, "m/1/model.onnx": NOTE}, _package("--version", "2")),
    "train-restart": _all({"best.safetensors": NOTE}, _train("--val", "0.5", "--restart")),
    "train-restart-log": _all({"log.jsonl": NOTE, "best.safetensors": NOTE}, _train("--restart")),
    "train-restart-report": _all({"report.html": NOTE}, _train("--restart")),
    "train-val-list": _all({"val/list.txt": NOTE}, _train("--val", "0.5")),
    "train-val-classes": _all({"val/classes.txt": NOTE}, _train("--val", "0.5")),
    "train-state-of-others": _all({"state.safetensors": NOTE}, _train("--resume")),
    "train-new": _all({"last.safetensors": NOTE}, _train("--val", "synthetic:2:1:48x64")),
    "predict-photo": _all({"image.png": PHOTO}, _predict()),
    "predict-photo-skip": _all({"image.png": PHOTO}, _predict("--skip-existing")),
    "predict-mask": _all({"image.png": MASK}, _predict()),
    "predict-mask-skip": _all({"image.png": MASK}, _predict("--skip-existing"), refused=False),
    "predict-text": _all({"image.png": NOTE}, _predict("--skip-existing")),
    "predict-array": _all({"image.npy": ARRAY}, _predict("--format", "npy")),
    "predict-text-npy": _all({"image.npy": NOTE}, _predict("--format", "npy")),
    "predict-overlay": _all({"image.overlay.jpg": NOTE}, _predict("--overlay")),
    "predict-confidence": _all({"sure/image.png": MASK}, lambda own, out: [
        *_predict()(own, out / "maps"), "--confidence", out / "sure"
    ]),
    "predict-file": _all({"a.png": PHOTO}, lambda own, out: _predict()(own, out / "a.png")),
    "predict-other-names": _all({"other.png": PHOTO, "image.txt": NOTE}, _predict(), refused=False),
    "bench-keep": _all({"good.fp16.onnx": NOTE}, _bench()),
    "bench-keep-other": _all({"notes.txt": NOTE}, _bench(), refused=False),
    "bench-keep-file": _all({"kept": NOTE}, lambda own, out: _bench()(own, out / "kept")),
    "choose-log-of-others": _all({"c.onnx.choose/log.jsonl": NOTE}, _choose()),
    "choose-work-of-others": _all({"w/notes.txt": NOTE}, lambda own, out: [
        *_choose()(own, out), "--work", out / "w"
    ], refused=False),
    "int8-cache-of-others": _all({"cache": NOTE}, lambda own, out: [
        *_int8()(own, out), "--calib-cache", out / "cache"
    ], refused=False),
    "search-log-of-others": _all({"q.onnx.search.jsonl": NOTE}, lambda own, out: [
        *_int8()(own, out), "--data", own / "list.txt", "--max-miou-drop", "1"
    ]),
    "json-folder": _all({"there/notes.txt": NOTE}, lambda own, out: [
        "inspect", own / "good.onnx", "--json", out / "there"
    ]),
    "two-outputs": _all({}, lambda own, out: [
        "quantize", own / "good.onnx", "--precision", "fp16", "-o", out / "q.onnx", "--json", out / "." / "q.onnx"
    ]),
    "two-reports": _all({}, lambda own, out: [*_bench()(own, out / "k"), "--html", out / "r", "--json", out / "r"]),
    "json-onto-sidecar": _all({}, lambda own, out: [
        "build-engine", own / "good.onnx", "--opt", "1x33x47", "-o", out / "m.engine", "--json", out / "m.engine.json"
    ]),
}  # fmt: skip


def _run(place: Place, name: str, command: str) -> Outcome:
    case, out = CASES[name], place.base / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    for path, data in case.files.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(data)
    done = attempt(case.line(place.own, out), outputs=place.base / "none", inputs=place.own)
    found = faults(done, refused=case.refused)
    lost = [path for path in case.stays if not (out / path).is_file() or (out / path).read_bytes() != case.files[path]]
    left = [] if done.code == 0 else [path for path in out.rglob("*") if path.is_file()]
    strange = [path for path in left if str(path.relative_to(out)) not in case.files]
    found += [f"the user's {path} was changed" for path in lost] + [f"{path} was left" for path in strange]
    return Outcome(done.code, found, done.reason)


KINDS = [Kind("strangers' files", lambda: [(case, case.split("-")[0]) for case in CASES], _run, default=25)]
