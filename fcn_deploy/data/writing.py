"""Write a data set as files: PNG images, PNG label maps, a list of pairs and the class names."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fcn_deploy.data.classes import FILE_NAME
from fcn_deploy.data.sample import Colour, Dataset, Sample
from fcn_deploy.errors import OutputError
from fcn_deploy.system.files import write_bytes, write_text
from fcn_deploy.system.progress import SILENT, Progress

LIST_NAME = "list.txt"
# The bytes with which files start and end, by suffix; and where a PNG says whether it is grey (0) or indexed (3).
_ENDS = {
    ".png": (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
    ".jpg": (b"\xff\xd8", b"\xff\xd9"),
    ".npy": (b"\x93NUMPY", b""),
}
_COLOUR_TYPE = 25
MOST_LABEL = 65534  # of a PNG of 16 bits
MARK = "fcn-deploy predict"  # in the head of its results
_MARKED_HEAD = 256  # bytes
# An array has no place for a mark but the blanks that fill its head up, which any reader passes over: this many bytes
# of head, where NumPy makes 128.
_NPY_HEAD = 1024
_NPY_START = b"\x93NUMPY\x01\x00" + struct.pack("<H", _NPY_HEAD - 10)


def write_pairs(dataset: Dataset, folder: Path, progress: Progress = SILENT) -> Path:
    """Write every sample below `folder` as `images/00000.png` and `labels/00000.png`; return the list file.

    Label maps are indexed with the data set's palette and 255 where unlabelled, or 16-bit grey with 65535 above 255
    classes. The list comes last, so that a write that was cut short leaves none.

    Raises:
        OutputError: something cannot be written.
        DataError: a sample cannot be read.
    """
    lines = []
    with progress.task(f"writing {folder}", len(dataset)) as task:
        for index in range(len(dataset)):
            lines.append(_write_sample(dataset[index], folder, f"{index:05}.png", dataset.palette))
            task.advance()
    entries = (f"{name} {r} {g} {b}\n" for name, (r, g, b) in zip(dataset.classes, dataset.palette, strict=True))
    if dataset.classes:
        write_text(folder / FILE_NAME, "".join(entries))
    write_text(folder / LIST_NAME, "".join(lines))
    return folder / LIST_NAME


def _write_sample(sample: Sample, folder: Path, name: str, palette: Sequence[Colour]) -> str:
    save_image(Image.fromarray(sample.image), folder / "images" / name)
    if sample.label is None:
        return f"images/{name}\n"
    save_labels(label_image(sample.label, palette), folder / "labels" / name)
    return f"images/{name} labels/{name}\n"


def label_image(label: NDArray[Any], palette: Sequence[Colour] | None) -> Image.Image:
    """Return a label map as `save_image` writes it.

    Args:
        label: uint8[H, W], or any integers from -1 (unlabelled, 65535 in the file) to 65534.
        palette: one RGB triple a class for uint8 labels, where others are black; None for grey, value = label.

    Raises:
        OutputError: a label above 65534.
    """
    check_fits_png(label)
    if label.dtype != np.uint8:
        return Image.fromarray(np.where(label < 0, 65535, label).astype(np.uint16))
    image = Image.fromarray(label)
    if palette is not None:
        # Pillow packs as many bits per pixel as the palette needs and would cut the label 255 off.
        colours = [*palette, *[(0, 0, 0)] * (256 - len(palette))] if label.max() >= len(palette) else palette
        image.putpalette([channel for colour in colours for channel in colour])
    return image


def check_fits_png(labels: NDArray[Any]) -> None:
    """Raise OutputError if a label is too large for 16 bits, in which 65535 is unlabelled."""
    if labels.dtype.itemsize > 1 and (largest := int(labels.max())) > MOST_LABEL:
        raise OutputError(f"a label is {largest:,}, and a PNG holds labels up to {MOST_LABEL:,}; write arrays (npy)")


def save_image(image: Image.Image, path: Path, **options: Any) -> None:
    """Write `image` whole or not at all, as `path`'s suffix and Pillow's `options` say; OutputError if it fails."""
    encoded = io.BytesIO()
    image.save(encoded, Image.registered_extensions()[path.suffix.lower()], **options)
    write_bytes(path, encoded.getvalue())


def save_labels(image: Image.Image, path: Path, *, mark: bool = False) -> None:
    """Write a PNG of `label_image`, as `save_image` does; `mark` says in it that `predict` made it.

    8-bit labels are packed as runs alone (zlib's Z_RLE): of label maps that makes smaller files than a search for
    repetitions does, in less time.
    """
    options: dict[str, Any] = {} if image.mode.startswith("I") else {"compress_type": zlib.Z_RLE}
    if mark:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Software", MARK)
    save_image(image, path, **options)


def is_whole(path: Path) -> bool:
    """Tell by its first and last bytes whether a .png, .jpg or .npy file is one, and not cut short.

    A PNG must be indexed or grey, as label maps are. Nothing is decoded: a folder may hold a million.
    """
    head, tail = _ENDS[path.suffix.lower()]
    try:
        if not path.is_file():  # a pipe would wait for a writer
            return False
        if path.suffix.lower() == ".npy":
            np.load(path, mmap_mode="r", allow_pickle=False)  # compares the size with the header
            return True
        with path.open("rb") as stream:
            start = stream.read(_COLOUR_TYPE + 1)
            stream.seek(-len(tail), os.SEEK_END)
            end = stream.read()
    except (OSError, ValueError, EOFError):
        return False
    if not (start.startswith(head) and end == tail):
        return False
    return path.suffix.lower() != ".png" or start[_COLOUR_TYPE:] in (b"\x00", b"\x03")


def is_marked(path: Path) -> bool:
    """Tell whether `predict` wrote a .png, .jpg or .npy file, by its mark.

    An empty file counts too: nothing is lost with it.
    """
    with path.open("rb") as stream:
        head = stream.read(_MARKED_HEAD)
    return not head or MARK.encode() in head or (path.suffix == ".npy" and head.startswith(_NPY_START))


def npy_head(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """Return the head of an array in C order as NumPy's format 1.0 has it, with the mark; its numbers come next."""
    text = repr({"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})
    return _NPY_START + text.encode().ljust(_NPY_HEAD - len(_NPY_START) - 1) + b"\n"
