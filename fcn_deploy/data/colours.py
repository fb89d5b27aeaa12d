"""Read the labels of RGB-coded label maps, a colour for each class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.data.sample import Colour
from fcn_deploy.errors import LabelError

_UNKNOWN = 0xFFFF  # label of a colour that has none


def decode_colours(pixels: NDArray[np.uint8], colours: Mapping[Colour, int], path: Path) -> NDArray[Any]:
    """Label of each pixel's colour.

    Args:
        pixels: uint8[H, W, 3 or 4]; alpha is not looked at.
        colours: label of each RGB triple, below 65535; negative ones are for pixels without a label.

    Returns:
        uint8[H, W], or uint16[H, W] where a label above 255 is among `colours`, or int32[H, W] with a negative one.

    Raises:
        LabelError: a colour that is not in `colours`: which, where first, in how many pixels.
    """
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    codes = np.asarray((red << np.uint32(16)) | (green << np.uint32(8)) | blue)
    labels = np.take(_table(tuple(colours.items())), codes)
    if (labels == _UNKNOWN).any():
        raise _unknown_colour(codes, labels == _UNKNOWN, path)
    narrow = all(0 <= label <= 255 for label in colours.values())
    return labels.astype(np.uint8) if narrow else labels


@lru_cache(maxsize=2)
def _table(colours: tuple[tuple[Colour, int], ...]) -> NDArray[Any]:
    """Return uint16[2^24] (or int32): 32 MiB; a label map reads one entry per colour, so it stays in the cache."""
    signed = any(label < 0 for _, label in colours)
    table: NDArray[Any] = np.full(1 << 24, _UNKNOWN, np.int32 if signed else np.uint16)
    for (red, green, blue), label in colours:
        table[(red << 16) | (green << 8) | blue] = label
    return table


def _unknown_colour(codes: NDArray[np.uint32], unknown: NDArray[np.bool_], path: Path) -> LabelError:
    row, column = np.argwhere(unknown)[0]
    code = int(codes[row, column])
    count = int((codes == code).sum())
    red, green, blue = code >> 16, (code >> 8) & 255, code & 255
    more = len(np.unique(codes[unknown])) - 1
    others = f" and {more} more unknown colours" if more else ""
    return LabelError(
        f"{path} has colour {red} {green} {blue} in {count} pixels, first at row {row}, column {column}{others}; "
        f"add 'NAME {red} {green} {blue}' to classes.txt, or 'ignore {red} {green} {blue}' to leave it unlabelled"
    )
