"""Read image and label files as arrays.

Images, whatever the file holds, become uint8 RGB:
- the EXIF orientation is applied;
- alpha is dropped and the colour under it kept, as `cv2.imread` and `Image.convert("RGB")` do;
- 16 bits per channel become 8 by taking the high byte, which Pillow does to 16-bit RGB;
- grey, palette, 1-bit, CMYK and YCbCr are converted; of several frames or pages the first is taken.
"""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fcn_deploy.data.colours import decode_colours
from fcn_deploy.data.sample import Colour
from fcn_deploy.data.stored_values import lossy_kind, stored_values
from fcn_deploy.errors import DataError, ImageError, LabelError, first_line
from fcn_deploy.system.files import require_plain

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".jp2"})
Check = Callable[[Image.Image], None]
# Named, so that a file cannot reach a decoder that starts another program (EPS) or is hardly ever exercised.
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, struct.error)
_LIMIT_LOCK = threading.Lock()  # Pillow's limit is the process's
_ORIENTATION = 0x0112  # EXIF tag: 1 upright, 2..8 mirrored or turned


def load_image(path: Path, *, writable: bool = True) -> NDArray[np.uint8]:
    """Read an image as uint8[H, W, 3] RGB, upright; the array is the caller's, and costs a copy if it is `writable`.

    Raises:
        ImageError: missing, empty, cut off, not an image, a folder, too large for Pillow's limit on decompressed
            pixels, or 32 bits per channel.
    """
    return rgb_array(decode(path), path, writable=writable)


def rgb_array(image: Image.Image, path: Path, *, writable: bool = True) -> NDArray[np.uint8]:
    """Return a decoded image, or a part of it, as uint8[H, W, 3] RGB by the rules above; `path` is for messages.

    Raises:
        ImageError: it has 32 bits per channel, or cannot be converted.
    """
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise ImageError(f"{path}: expected 8 or 16 bits per channel, got 32; convert it first")
    if image.mode.startswith("I"):
        high_byte = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(high_byte[:, :, None], 3, axis=2)
    try:
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        return np.array(rgb) if writable else np.asarray(rgb)
    except ValueError as error:
        raise ImageError(f"{path} cannot be converted to RGB ({error}); convert it first") from error


def load_label(
    path: Path,
    colours: Mapping[Colour, int] | None = None,
    *,
    grey_is_colour: bool = False,
    values_first: bool = False,
    white: int = 1,
    check: Check | None = None,
) -> NDArray[Any]:
    """Read a label map as it is in the file: no rule about unlabelled pixels is applied.

    Indexed files give their indices, grey ones of any number of bits their values, RGB ones the label of each colour.
    An RGB file whose pixels are all grey and not all among the colours is read as a grey one. Alpha is dropped; the
    EXIF orientation is applied if the label file itself carries one.

    Args:
        colours: label of each RGB triple, for RGB-coded files.
        grey_is_colour: the values of 8-bit and 1-bit grey files are colours too.
        white: the value of white in 1-bit files.
        values_first: an RGB file whose pixels are all grey is read as a grey one even where the colours are known.
        check: gets the file's header before it is decoded, and may raise.

    Returns:
        uint8, uint16 or int32 [H, W]; the array is the caller's.

    Raises:
        ImageError: as for `load_image`.
        LabelError: an RGB-coded file with no `colours` or with a colour that is not among them, a JPEG or another file
            whose loss makes new labels, colours of 16 bits, or a kind of file that holds no labels.
    """

    as_stored = []

    def check_header(header: Image.Image) -> None:
        if kind := lossy_kind(header, path):
            raise LabelError(f"{path} is {kind}, whose loss changes labels; save label maps as PNG")
        if check is not None:
            check(header)
        as_stored.append(stored_values(header))

    image = decode(path, check=check_header)
    if image.mode in ("RGB", "RGBA") or (grey_is_colour and image.mode in ("L", "1")):
        if colours is None:
            raise LabelError(f"{path} is RGB-coded and no colours are known; give 'NAME R G B' lines in classes.txt")
        return _colour_labels(np.asarray(image.convert("RGB")), colours, path, grey_is_colour, values_first)
    if image.mode == "1":
        on = np.asarray(image.convert("L")) > 0
        return np.where(on, white, 0).astype(np.uint8)
    if image.mode in ("LA", "PA"):
        image = image.getchannel(0)
    if image.mode not in ("L", "P") and not image.mode.startswith("I"):
        raise LabelError(f"{path} has Pillow mode {image.mode}; expected an indexed, grey or RGB label map")
    values = np.array(image)
    return as_stored[0](values.astype(values.dtype.newbyteorder("="), copy=False))


def _colour_labels(
    pixels: NDArray[np.uint8], colours: Mapping[Colour, int], path: Path, grey_is_colour: bool, values_first: bool
) -> NDArray[Any]:
    if values_first and _is_grey(pixels):
        return np.array(pixels[..., 0])
    try:
        return decode_colours(pixels, colours, path)
    except LabelError:
        if grey_is_colour or not _is_grey(pixels):
            raise
        return np.array(pixels[..., 0])


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels[..., :1] == pixels[..., 1:]).all())


def decode(path: Path, most_pixels: int | None = None, check: Check | None = None) -> Image.Image:
    """Decode an image, upright and in the file's own mode, with the file's `format`.

    Args:
        most_pixels: the limit in place of Pillow's.
        check: gets the file's header before it is decoded, and may raise.

    Raises:
        ImageError: as for `load_image`.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; expected an image file")
        if path.exists() and not path.is_file():
            raise ImageError(f"{path} is a pipe, a socket or a device; expected an image file")
        with open_header(path, most_pixels) as image:
            if check is not None:
                check(image)
            image.load()
            return _upright(image)
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist") from error
    except PermissionError as error:
        raise ImageError(f"{path} cannot be read: permission denied") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path} is too large ({_pixels(error)}); cut it into tiles first") from error
    except UnidentifiedImageError as error:
        found = "is empty (0 bytes)" if path.stat().st_size == 0 else "is not an image, or of an unknown format"
        raise ImageError(f"{path} {found}; expected JPEG, PNG, BMP, TIFF or WebP") from error
    except _DAMAGED as error:
        raise ImageError(f"{path} is damaged or cut off ({_brief(error)}); copy or download it again") from error


def open_header(path: Path, most_pixels: int | None = None) -> Image.Image:
    """Open Pillow's image without decoding it; Pillow's own exceptions, save for ImageError above `most_pixels`."""
    if most_pixels is None:
        return Image.open(require_plain(path), formats=_FORMATS)
    with _LIMIT_LOCK:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(require_plain(path), formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    if image.width * image.height > most_pixels:
        raise ImageError(f"{path} has {image.width}x{image.height} pixels; at most {most_pixels:,} are read")
    return image


def header_size(path: Path) -> tuple[int, int] | None:
    """Return width and height as an image's header has them; None where it cannot be read."""
    with suppress(DataError, Image.DecompressionBombError, *_DAMAGED), open_header(path) as image:
        return image.width, image.height
    return None


def _upright(image: Image.Image) -> Image.Image:
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
    except _DAMAGED:  # a broken EXIF block does not make the pixels unreadable
        return image
    if not turned:
        return image
    upright = ImageOps.exif_transpose(image)
    upright.format = image.format
    return upright


def _pixels(error: Image.DecompressionBombError) -> str:
    """Return what Pillow found, without its name for it."""
    numbers = [f"{int(number):,}" for number in re.findall(r"\d+", str(error))]
    return f"{numbers[0]} pixels, at most {numbers[1]} are read" if len(numbers) == 2 else _brief(error)


def _brief(error: BaseException) -> str:
    return first_line(error).rstrip(".")
