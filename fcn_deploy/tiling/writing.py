"""Write label maps row by row as PNG or NPY, with no more than a band in memory.

PNG: "Portable Network Graphics (PNG) Specification", third edition, W3C 2025. Rows are not filtered, which suits
labels: runs of one byte are what deflate packs best.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.data.sample import Colour
from fcn_deploy.data.writing import MARK, check_fits_png, npy_head
from fcn_deploy.errors import ShapeError
from fcn_deploy.system.files import atomic_path
from fcn_deploy.vocabulary import MaskFormat

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, INDEXED = 0, 3  # colour types of PNG


def write_bands(
    bands: Iterable[NDArray[Any]],
    path: Path,
    shape: tuple[int, int],
    *,
    format: MaskFormat = "indexed",
    palette: Sequence[Colour] = (),
) -> None:
    """Write the label map of `shape` (rows, columns) that `bands` [h, W] give from the top, whole or not at all.

    Args:
        format: "indexed" is a PNG with `palette`, for uint8 labels; "raw" a grey one, of 16 bits with 65535 for -1
            unless labels are uint8; "npy" the array.

    Raises:
        OutputError: `path` cannot be written, or a PNG does not hold a label.
        ShapeError: `bands` are not of `shape`, or do not fit the format.
        Whatever `bands` raises.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        rows: NpyWriter | PngWriter | None = None
        written = 0
        for band in bands:
            written += len(band)
            if band.ndim != 2 or band.shape[1] != shape[1] or written > shape[0]:
                raise ShapeError(f"rows {written - len(band)}.. of labels {list(shape)} are {list(band.shape)}")
            if rows is None:
                rows = _open(stream, shape, band.dtype, format, palette)
            rows.write(band)
        if rows is None or written != shape[0]:
            raise ShapeError(f"{written} rows of labels were given; expected {shape[0]}")
        rows.end()


def _open(
    stream: IO[bytes], shape: tuple[int, int], dtype: np.dtype[Any], format: MaskFormat, palette: Sequence[Colour]
) -> NpyWriter | PngWriter:
    if format == "npy":
        return NpyWriter(stream, shape, dtype)
    if format == "indexed" and dtype != np.uint8:
        raise ShapeError(f"an indexed PNG holds uint8 labels and these are {dtype}; write them raw")
    return PngWriter(stream, shape, wide=dtype != np.uint8, palette=palette if format == "indexed" else None)


class NpyWriter:
    """NumPy's format, version 1.0, with the mark of a result."""

    def __init__(self, stream: IO[bytes], shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        stream.write(npy_head(shape, dtype))
        self._stream = stream

    def write(self, rows: NDArray[Any]) -> None:
        self._stream.write(np.ascontiguousarray(rows).data)

    def end(self) -> None:
        return None


class PngWriter:
    """A PNG of 8 bits per pixel with a palette, or grey of 8 or 16 bits."""

    def __init__(
        self, stream: IO[bytes], shape: tuple[int, int], *, wide: bool, palette: Sequence[Colour] | None
    ) -> None:
        self._stream, self._wide = stream, wide
        # as data.writing.save_labels: runs are what 8-bit label maps consist of
        self._deflate = zlib.compressobj(strategy=zlib.Z_DEFAULT_STRATEGY if wide else zlib.Z_RLE)
        stream.write(SIGNATURE)
        kind = GREY if palette is None else INDEXED
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", shape[1], shape[0], 16 if wide else 8, kind, 0, 0, 0))
        self._chunk(b"tEXt", b"Software\0" + MARK.encode())
        if palette is not None:
            black = [(0, 0, 0)] * (256 - len(palette))  # unlabelled pixels, 255, need an entry too
            self._chunk(b"PLTE", bytes(chain.from_iterable([*palette, *black])))

    def write(self, rows: NDArray[Any]) -> None:
        check_fits_png(rows)
        values = np.where(rows < 0, 65535, rows).astype(">u2") if self._wide else rows
        flat = np.ascontiguousarray(values).view(np.uint8).reshape(len(rows), -1)
        filtered = np.pad(flat, ((0, 0), (1, 0)))  # each row starts with the number of its filter: 0, none
        self._data(self._deflate.compress(filtered.data))

    def end(self) -> None:
        self._data(self._deflate.flush())
        self._chunk(b"IEND", b"")

    def _data(self, data: bytes) -> None:
        if data:
            self._chunk(b"IDAT", data)

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._stream.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
