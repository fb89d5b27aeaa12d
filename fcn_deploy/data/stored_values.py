"""Say what the header of a label map shows of its values: what compression lost of them, and how Pillow changes them.

Pillow shows grey images of 2 and 4 bits, and those of other largest values than a byte's, stretched to 0..255, and
those in which 0 is white inverted, as viewers do. Labels are the numbers in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[Any]
_GREY = re.compile(r"L(?:;([24]?)(I?)R?)?")  # Pillow's names of how grey values are stored: bits, 0 is white, reversed


def lossy_kind(header: Image.Image, path: Path) -> str:
    """Return what an image is called if labels are not kept in it as they were, "" if they are."""
    if header.format == "WEBP":
        return "a WebP with loss" if _webp_stream(path) == b"VP8 " else ""
    if header.mode in ("RGB", "RGBA", "CMYK") and _bits(header) > 8:
        return "an image of 16-bit colours, which are read as 8 bits"
    if header.format == "TIFF":
        found = str(header.info.get("compression"))
        return {"jpeg": "a TIFF of JPEGs", "tiff_jpeg": "a TIFF of JPEGs", "webp": "a TIFF of WebPs"}.get(found, "")
    return {"JPEG": "a JPEG", "MPO": "a JPEG", "JPEG2000": "a JPEG 2000"}.get(str(header.format), "")


def stored_values(header: Image.Image) -> Callable[[Values], Values]:
    """Return what makes the numbers in a grey file of those that Pillow reads; to be asked before it decodes."""
    raw, largest = _raw_mode(header)
    if largest is not None and header.mode in ("L", "I"):
        whole = 255 if header.mode == "L" else 65535
        return lambda values: np.rint(values * (largest / whole)).astype(values.dtype)
    found = _GREY.fullmatch(raw) if header.mode == "L" else None
    if found is None or raw == "L":
        return lambda values: values
    step, inverted = 255 // (2 ** int(found[1] or 8) - 1), bool(found[2])
    return lambda values: ((255 - values) if inverted else values) // step


def _bits(header: Image.Image) -> int:
    raw, largest = _raw_mode(header)
    return 16 if ";16" in raw or (largest or 0) > 255 else 8


def _raw_mode(header: Image.Image) -> tuple[str, int | None]:
    """Return how a file stores its pixels in Pillow's words, and the largest value of a Netpbm file that has one."""
    for tile in getattr(header, "tile", [])[:1]:  # none of an image that is no file
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        largest = arguments[1] if tile[0] in ("ppm", "ppm_plain") and len(arguments) > 1 else None
        return str(arguments[0]), largest if isinstance(largest, int) else None
    return "", None


def _webp_stream(path: Path) -> bytes:
    """Return the name of the first image's chunk: "VP8 " with loss, "VP8L" without."""
    with path.open("rb") as stream:
        stream.seek(12)
        while len(head := stream.read(8)) == 8:
            if head[:4] in (b"VP8 ", b"VP8L"):
                return head[:4]
            size = int.from_bytes(head[4:], "little")
            # A frame of an animation has 16 bytes before its own chunks; any other chunk has an even length.
            stream.seek(16 if head[:4] == b"ANMF" else size + size % 2, 1)
    return b""
