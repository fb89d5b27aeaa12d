"""Draw six images of a data set with their labels over them, and the colour of each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fcn_deploy.data.sample import Colour, Dataset, Sample
from fcn_deploy.data.writing import save_image

COUNT, COLUMNS = 6, 3
TILE = (400, 300)  # width and height of the largest picture, pixels
GAP, LINE = 12, 22
PAPER, INK = (255, 255, 255), (31, 35, 40)
STRENGTH = 0.5  # of the labels over the image
UNLABELLED: Colour = (255, 0, 255)  # in stripes, which no class is drawn in


def write_contact_sheet(dataset: Dataset, usable: Sequence[int], path: Path) -> None:
    """Write the picture; `path` gets a suffix that Pillow knows, such as .png.

    Args:
        usable: indices of the samples that can be decoded, at least one.

    Raises:
        OutputError: it cannot be written.
    """
    count = min(COUNT, len(usable))
    samples = [dataset[usable[step * len(usable) // count]] for step in range(count)]
    tiles = [_tile(sample, dataset.palette) for sample in samples]
    seen = {int(label) for sample in samples if sample.label is not None for label in np.unique(sample.label)}
    legend = [
        (name, colour)
        for label, (name, colour) in enumerate(zip(dataset.classes, dataset.palette, strict=True))
        if label in seen
    ]
    if seen - set(range(len(dataset.classes))):
        legend.append(("unlabelled (stripes)", UNLABELLED))
    rows = -(-len(tiles) // COLUMNS)
    columns = min(COLUMNS, len(tiles))
    width = GAP + columns * (TILE[0] + GAP)
    places = _legend_places([name for name, _ in legend], width)
    top = GAP + rows * (TILE[1] + LINE + GAP)
    height = top + (places[-1][1] + LINE + GAP if places else 0)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for place, (tile, sample) in enumerate(zip(tiles, samples, strict=True)):
        left = GAP + place % COLUMNS * (TILE[0] + GAP)
        upper = GAP + place // COLUMNS * (TILE[1] + LINE + GAP)
        sheet.paste(tile, (left, upper))
        draw.text((left, upper + tile.height + 3), Path(sample.name).name[-48:], INK, font)
    for (name, colour), (x, y) in zip(legend, places, strict=True):
        draw.rectangle((x, top + y + 3, x + 14, top + y + 17), colour, INK)
        draw.text((x + 20, top + y + 1), name, INK, font)
    save_image(sheet, path)


def _legend_places(names: Sequence[str], width: int) -> list[tuple[int, int]]:
    """Return the corner of each entry below the pictures, in as many lines as it takes."""
    places, x, y = [], GAP, 0
    for name in names:
        wide = 44 + 9 * len(name)
        if x > GAP and x + wide > width:
            x, y = GAP, y + LINE
        places.append((x, y))
        x += wide
    return places


def _tile(sample: Sample, palette: Sequence[Colour]) -> Image.Image:
    image = Image.fromarray(sample.image)
    factor = min(TILE[0] / image.width, TILE[1] / image.height)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    small = image.resize(size, Image.Resampling.BILINEAR if factor > 1 else Image.Resampling.BOX)
    if sample.label is None:
        return small
    label = np.asarray(Image.fromarray(sample.label.astype(np.int32)).resize(size, Image.Resampling.NEAREST))
    return Image.blend(small, Image.fromarray(_coloured(label, palette, np.asarray(small))), STRENGTH)


def _coloured(label: NDArray[np.int32], palette: Sequence[Colour], image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return uint8[H, W, 3]: each pixel's class colour; unlabelled ones in stripes, between them the image."""
    known = (label >= 0) & (label < len(palette))
    colours = np.array([*palette, UNLABELLED], np.uint8)[np.where(known, label, len(palette))]
    rows, columns = np.indices(label.shape)
    between = ~known & ((rows + columns) % 12 >= 4)
    colours[between] = image[between]
    return colours
