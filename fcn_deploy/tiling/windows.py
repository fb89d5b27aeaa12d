"""Read windows of an image without copying it whole: arrays, uncompressed files, and decoded ones.

Of NPY, binary PPM and uncompressed RGB TIFF only the window is read. Of all other formats Pillow decodes the whole
image once, at 4 bytes per pixel for RGB, and windows are cut from that.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcn_deploy.data.images import decode, open_header, rgb_array
from fcn_deploy.errors import ImageError, ShapeError
from fcn_deploy.system.memory import free_bytes

ONE_BYTE = ("1", "L", "P")  # modes of Pillow with one byte per pixel in memory; others have at most 4
MOST_PIXELS = 1 << 31  # a decoded RGB image of that size takes 8 GiB


class ImageWindows(Protocol):
    """An RGB image of `height` rows and `width` columns that can be read in parts, from one thread at a time."""

    height: int
    width: int

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return uint8[height, width, 3], a window that lies in the image; the array must not be written to."""


class ArrayWindows:
    """Of uint8[H, W, 3] RGB in memory; ShapeError for another array."""

    def __init__(self, image: NDArray[Any]) -> None:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise ShapeError(f"the image is {image.dtype}{list(image.shape)}; expected uint8[H, W, 3], RGB")
        self._image = image
        self.height, self.width = image.shape[:2]

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        return self._image[top : top + height, left : left + width]


class RawWindows:
    """Of a file that holds uint8[H, W, 3] RGB from byte `offset` on.

    Nothing is mapped: the system ends a process whose mapped file becomes shorter.
    """

    def __init__(self, path: Path, offset: int, height: int, width: int) -> None:
        """Check the file's size; ImageError if it ends before the image does."""
        if path.stat().st_size < offset + height * width * 3:
            raise ImageError(f"{path} is cut off: its header promises {height}x{width} pixels; copy it again")
        self._path, self._offset = path, offset
        self.height, self.width = height, width

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """As of `ImageWindows`; ImageError if the file is gone, or shorter than it was."""
        window = np.empty((height, width, 3), np.uint8)
        try:
            with self._path.open("rb", buffering=0) as stream:
                for row, pixels in enumerate(window, start=top):
                    stream.seek(self._offset + (row * self.width + left) * 3)
                    if stream.readinto(pixels.data) != pixels.nbytes:
                        raise ImageError(f"{self._path} became shorter while it was read; copy it again")
        except OSError as error:
            raise ImageError(f"{self._path} cannot be read any more: {error.strerror}") from error
        return window


class DecodedWindows:
    """Of an image that Pillow holds decoded, in the file's own mode; windows become RGB one by one."""

    def __init__(self, path: Path, image: Image.Image) -> None:
        self._path, self._image = path, image
        self.width, self.height = image.size

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        return rgb_array(self._image.crop((left, top, left + width, top + height)), self._path)


def open_windows(path: Path, *, most_pixels: int = MOST_PIXELS) -> ImageWindows:
    """Return the image in `path`, by its suffix (.npy) or its content.

    Raises:
        ImageError: missing, damaged, not an image, 32 bits per channel, larger than `most_pixels`, or than the free
            memory if it has to be decoded whole.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ImageError(f"{path} is a device or a pipe; expected an image file")
    if path.suffix.lower() == ".npy" and path.is_file():
        return _npy(path)
    return _uncompressed(path, most_pixels) or DecodedWindows(
        path, decode(path, most_pixels, lambda header: _require_memory(path, header))
    )


def _require_memory(path: Path, header: Image.Image) -> None:
    needed, free = header.width * header.height * (1 if header.mode in ONE_BYTE else 4), free_bytes()
    if needed > free:
        raise ImageError(
            f"{path} takes {needed / 2**30:.1f} GiB decoded and {free / 2**30:.1f} are free; save it as NPY, binary "
            "PPM or uncompressed TIFF, which are read in parts"
        )


def _npy(path: Path) -> RawWindows:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f"{path} cannot be read as NPY ({error}); save uint8[H, W, 3] with numpy.save") from error
    plain = isinstance(array, np.memmap) and array.flags.c_contiguous and array.dtype == np.uint8
    if not plain or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageError(f"{path} holds {array.dtype}{list(array.shape)}; expected uint8[H, W, 3], RGB, in C order")
    return RawWindows(path, int(array.offset), array.shape[0], array.shape[1])


def _uncompressed(path: Path, most_pixels: int) -> RawWindows | None:
    """Return rows of RGB one after the other, as Pillow's list of pieces shows; None for all else, errors included."""
    try:
        with warnings.catch_warnings(), open_header(path, most_pixels) as image:
            warnings.simplefilter("ignore")  # decoding reports the same fault
            width, height = image.size
            pieces = getattr(image, "tile", [])
            upright = image.getexif().get(0x0112, 1) == 1
            if image.mode != "RGB" or image.format not in ("PPM", "TIFF") or not pieces or not upright:
                return None
            first = min(piece[2] for piece in pieces)
            if all(_lies_in_order(piece, first, width) for piece in pieces):
                return RawWindows(path, first, height, width)
    except ImageError:
        raise
    except Exception:  # Pillow has no base of what a damaged header raises; decoding names it
        return None
    return None


def _lies_in_order(piece: tuple[Any, ...], first: int, width: int) -> bool:
    """Return whether one of Pillow's pieces, (codec, box, offset, arguments), is whole rows at their place."""
    codec, (left, top, right, _), offset, arguments = piece[:4]
    raw_mode, row_bytes, direction = (arguments, 0, 1) if isinstance(arguments, str) else arguments
    plain = codec == "raw" and raw_mode == "RGB" and row_bytes in (0, width * 3) and direction == 1
    return bool(plain and left == 0 and right == width and offset == first + top * width * 3)
