"""Images and label maps with more pixels than anyone has memory or time for, most of them in a few hundred bytes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from tests.hostile.commands import CLASSES
from tests.hostile.kind import Command, Make, files_kind

GREY, RGB, PALETTE = 0, 2, 3


def png(width: int, height: int, colours: int = GREY, depth: int = 8) -> Make:
    """Return a case: a PNG whose header promises this size; its pixels end after the first kilobyte of zeros."""

    def make(folder: Path) -> Path:
        def chunk(name: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

        header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
        palette = chunk(b"PLTE", bytes(range(9))) if colours == PALETTE else b""
        pixels = chunk(b"IDAT", zlib.compress(bytes(1024)))
        path = folder / "image.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + pixels + chunk(b"IEND", b""))
        return path

    return make


def array(*shape: int) -> Make:
    """Return a case: a NumPy file whose header promises this shape."""

    def make(folder: Path) -> Path:
        path = folder / "image.npy"
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return path

    return make


IMAGES: dict[str, Make] = {
    "grey": png(40_000, 40_000),
    "rgb": png(40_000, 40_000, RGB),
    "palette": png(40_000, 40_000, PALETTE),
    "one-bit": png(100_000, 100_000, GREY, 1),
    "largest": png(2**31 - 1, 2**31 - 1, RGB),
    "wide": png(2**31 - 1, 1),
    "high": png(1, 2**31 - 1, PALETTE),
    "none": png(0, 0),
}
# Below the limit of images, and of another size than their image.
LABELS: dict[str, Make] = {
    **IMAGES,
    "label-grey": png(13_000, 13_000),
    "label-rgb": png(13_000, 13_000, RGB),
    "label-palette": png(13_000, 13_000, PALETTE),
    "label-one-bit": png(13_000, 13_000, GREY, 1),
}
ARRAYS: dict[str, Make] = {
    "array": array(2**31, 2**31),
    "array-beyond": array(2**40, 2**40, 3),
    "array-many": array(*[2**10] * 9),
}


def _listed(file: Path, own: Path, line: str) -> Path:
    listed = file.parent / "list.txt"
    listed.write_text(line.format(hostile=file, image=own / "image.png", label=own / "label.png"), encoding="utf-8")
    return listed


def _labels(file: Path, own: Path) -> list[object]:
    return [_listed(file, own, "{image} {hostile}\n"), "--classes", CLASSES]


def _images(file: Path, own: Path) -> list[object]:
    return [_listed(file, own, "{hostile} {label}\n"), "--classes", CLASSES]


ON_LABELS: dict[str, Command] = {
    "evaluate": lambda file, own, out: ["evaluate", own / "good.onnx", "--data", *_labels(file, own)],
    "data": lambda file, own, out: ["data", "check", *_labels(file, own)],
    "data-sheet": lambda file, own, out: ["data", "check", *_labels(file, own), "-o", out / "sheet.png"],
    "diagnose": lambda file, own, out: [
        "diagnose", own / "good.onnx", own / "good.onnx", "--data", *_labels(file, own)
    ],
    "train": lambda file, own, out: [
        "train", "--data", *_labels(file, own), "--val", own / "list.txt", "--width", "0.02", "-o", out / "run"
    ],
    "bench": lambda file, own, out: [
        "bench", own / "good.onnx", "--data", *_labels(file, own), "--runners", "onnxruntime", "--no-memory"
    ],
}  # fmt: skip
ON_IMAGES: dict[str, Command] = {
    "evaluate": lambda file, own, out: ["evaluate", own / "good.onnx", "--data", *_images(file, own)],
    "data": lambda file, own, out: ["data", "check", *_images(file, own)],
    "predict": lambda file, own, out: ["predict", own / "good.onnx", file, "-o", out / "labels"],
    "calibrate": lambda file, own, out: [
        "quantize", own / "good.onnx", "--precision", "int8", "--calib", file.parent, "-o", out / "q.onnx"
    ],
    "diagnose": lambda file, own, out: ["diagnose", own / "good.onnx", own / "good.onnx", "--data", file],
    "bench": lambda file, own, out: [
        "bench", own / "good.onnx", "--data", file, "--runners", "onnxruntime", "--no-memory"
    ],
    "profile": lambda file, own, out: [
        "build-engine", own / "good.onnx", "--profile-from", file, "-o", out / "m.engine"
    ],
}  # fmt: skip
ON_ALL: dict[str, Command] = {
    "predict-tile": lambda file, own, out: [
        "predict", own / "good.onnx", file, "-o", out / "labels", "--tile", "512"
    ],
    "slips": lambda file, own, out: [
        "diagnose", own / "good.onnx", "--labels-from", file.parent, "--data", own / "image.png"
    ],
}  # fmt: skip
SLOW = ("train", "bench")
KINDS = [
    files_kind("large label maps", LABELS, ON_LABELS, default=len(LABELS), slow=SLOW),
    files_kind("large images", IMAGES, ON_IMAGES, default=2 * len(IMAGES), slow=SLOW),
    files_kind("large files", {**LABELS, **ARRAYS}, ON_ALL, default=2 * len({**LABELS, **ARRAYS})),
]
