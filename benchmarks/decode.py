"""Label decoding: ours against the lines that people write."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import ratio
from benchmarks.suite import Measured
from fcn_deploy.card import voc_palette
from fcn_deploy.data.colours import decode_colours
from fcn_deploy.data.images import load_label
from fcn_deploy.data.labels import LabelRule
from fcn_deploy.data.sample import Colour
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.vocabulary import parse_size

CLASSES = 21


def measure(sizes: Sequence[str], rounds: int) -> Measured:
    """For each size ("HxW") a row of indexed PNGs and one of RGB-coded pixels."""
    labels = [scene_label(*parse_size(size)) for size in sizes]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure_indexed(label, Path(folder), rounds) for label in labels]
    return rows + [measure_colours(label, rounds) for label in labels], {"warm_ups": ratio.WARM_UPS}


def by_comparison(pixels: NDArray[np.uint8], colours: dict[Colour, int]) -> NDArray[np.uint8]:
    """Decode by the usual loop: compare the whole image with one colour after the other."""
    label = np.full(pixels.shape[:2], 255, np.uint8)
    for colour, index in colours.items():
        label[(pixels == np.array(colour, np.uint8)).all(axis=-1)] = index
    return label


def scene_label(height: int, width: int) -> NDArray[np.uint8]:
    """uint8[H, W]: a generated scene's label with its 8 classes moved apart over the 21."""
    label = SyntheticDataset(1, 0, (height, width))[0].label
    assert label is not None
    return (label * 5 % CLASSES).astype(np.uint8)


def measure_indexed(label: NDArray[np.uint8], folder: Path, rounds: int) -> dict[str, Any]:
    """Time an indexed PNG from the disk: the cost of checking file, orientation and label values."""
    path = folder / "indexed.png"
    image = Image.fromarray(label)
    image.putpalette([channel for colour in voc_palette(CLASSES) for channel in colour])
    image.save(path)
    rule = LabelRule(CLASSES)
    cases = {
        "fcn_deploy (load_label and label rule)": lambda: rule.apply(load_label(path), path),
        "np.array(Image.open(path)), nothing checked": lambda: np.array(Image.open(path)),
    }
    name = f"indexed PNG, {label.shape[0]} x {label.shape[1]}"
    return ratio.row(name, ratio.time_ms(cases, rounds), next(iter(cases)))


def measure_colours(label: NDArray[np.uint8], rounds: int) -> dict[str, Any]:
    """RGB pixels in memory to labels."""
    colours = {colour: index for index, colour in enumerate(voc_palette(CLASSES))}
    pixels = np.array(voc_palette(CLASSES), np.uint8)[label]
    if not np.array_equal(decode_colours(pixels, colours, Path()), by_comparison(pixels, colours)):
        raise SystemExit("the two decodings differ; a time would mean nothing")
    cases = {
        "fcn_deploy (table, unknown colours found)": lambda: decode_colours(pixels, colours, Path()),
        "a comparison a class": lambda: by_comparison(pixels, colours),
    }
    name = f"RGB-coded, {label.shape[0]} x {label.shape[1]}, {CLASSES} classes"
    return ratio.row(name, ratio.time_ms(cases, rounds), next(iter(cases)))
