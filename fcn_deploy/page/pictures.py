"""Encode photographs and label maps as data URIs, so that a page needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# A photograph as PNG is much larger and shows no more.
QUALITY = 85


def photo_uri(image: NDArray[np.uint8]) -> str:
    """Encode uint8[h, w, 3] as a JPEG data URI."""
    return data_uri(image, "JPEG", quality=QUALITY)


def labels_uri(labels: NDArray[Any], palette: Sequence[tuple[int, int, int]]) -> str:
    """Encode integer[h, w] as a PNG data URI, transparent where a label is not in the palette."""
    colours = np.zeros((len(palette) + 1, 4), np.uint8)
    colours[:-1, :3], colours[:-1, 3] = palette, 255
    known = (labels >= 0) & (labels < len(palette))
    return data_uri(colours[np.where(known, labels, len(palette))], "PNG")


def data_uri(pixels: NDArray[np.uint8], kind: str, **settings: int) -> str:
    """Encode uint8[h, w, 3 or 4] in Pillow's format `kind`, with its settings."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, optimize=True, **settings)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
