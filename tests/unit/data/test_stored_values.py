"""Grey label maps of few bits, and others that Pillow stretches or inverts: labels are the numbers in the file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from fcn_deploy.data.images import load_image, load_label
from fcn_deploy.errors import LabelError

LABELS = np.array([[0, 1, 2, 3, 3], [3, 2, 1, 0, 1], [1, 1, 2, 0, 3]], np.uint8)  # what 2 bits can hold


def packed(values: np.ndarray, bits: int) -> list[bytes]:
    """Return the bytes of each row, `bits` for a value."""
    rows = (np.array([[value >> shift & 1 for shift in range(bits)][::-1] for value in row]) for row in values.tolist())
    return [np.packbits(row.ravel().astype(np.uint8)).tobytes() for row in rows]


def write_png(path: Path, rows: list[bytes], width: int, bits: int, kind: int = 0) -> Path:
    """Write a PNG; `kind` is its colour type: 0 grey, 2 RGB, 4 grey with alpha."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, len(rows), bits, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def write_tiff(path: Path, rows: list[bytes], width: int, bits: int, *, white_is_0: bool) -> Path:
    """Write a TIFF of one strip without compression."""
    data = b"".join(rows)
    photometric = 0 if white_is_0 else 1
    tags = {256: width, 257: len(rows), 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: len(rows)}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in (tags | {279: len(data)}).items()]
    data += bytes(len(data) % 2)
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    path.write_bytes(head + data + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4))
    return path


@pytest.mark.parametrize("bits", [2, 4])
def test_a_grey_png_of_few_bits_has_its_own_values(tmp_path, bits):
    path = write_png(tmp_path / "a.png", packed(LABELS, bits), 5, bits)
    assert load_label(path).tolist() == LABELS.tolist()
    assert int(load_image(path).max()) == 255 // (2**bits - 1) * 3, "an image is shown as viewers show it"


@pytest.mark.parametrize("white_is_0", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_grey_tiff_has_its_own_values(tmp_path, bits, white_is_0):
    path = write_tiff(tmp_path / "a.tif", packed(LABELS, bits), 5, bits, white_is_0=white_is_0)
    assert load_label(path).tolist() == LABELS.tolist()


@pytest.mark.parametrize("largest", [3, 20, 254, 255, 256, 1000, 65535])
@pytest.mark.parametrize("kind", ["P2", "P5"])
def test_a_pgm_has_its_own_values_whatever_its_largest(tmp_path, kind, largest):
    values = np.arange(15).reshape(3, 5) * largest // 14
    text = " ".join(map(str, values.ravel())).encode()
    data = text if kind == "P2" else values.astype("u1" if largest < 256 else ">u2").tobytes()
    (tmp_path / "a.pgm").write_bytes(f"{kind}\n5 3\n{largest}\n".encode() + data)
    assert load_label(tmp_path / "a.pgm").tolist() == values.tolist()


@pytest.mark.parametrize("kind", [2, 4])
def test_a_label_map_of_16_bit_colours_is_refused(tmp_path, kind):
    rows = [np.repeat(row.astype(">u2"), {2: 3, 4: 2}[kind]).tobytes() for row in LABELS]
    path = write_png(tmp_path / "a.png", rows, 5, 16, kind)
    with pytest.raises(LabelError, match="16-bit colours, which are read as 8 bits, whose loss changes labels; save"):
        load_label(path, {(0, 0, 0): 0})


def test_a_grey_map_of_16_bits_keeps_them(tmp_path):
    path = write_png(tmp_path / "a.png", [row.tobytes() for row in (LABELS.astype(int) * 300).astype(">u2")], 5, 16)
    assert load_label(path).tolist() == (LABELS.astype(int) * 300).tolist()
