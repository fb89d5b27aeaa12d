"""Read image and label files in pairs, and the list files that name them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from fcn_deploy.data.classes import ClassList, read_lines
from fcn_deploy.data.images import header_size, load_image, load_label
from fcn_deploy.data.labels import VOID, LabelRule
from fcn_deploy.data.sample import Colour, LabelPair, Sample
from fcn_deploy.errors import DataError, LabelError

Pair = tuple[Path, Path | None]
LARGE = 1 << 22  # pixels of a label map from which its size is compared before it is decoded alone
_NO_UTF8 = re.compile("[\udc80-\udcff]")  # how Python decodes the bytes of a name that is not UTF-8
_PARTS = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True)
class PairDataset:
    """Image files, each with its label file or none."""

    name: str
    pairs: Sequence[Pair]
    class_list: ClassList
    rule: LabelRule

    @property
    def classes(self) -> tuple[str, ...]:
        return self.class_list.names

    @property
    def palette(self) -> tuple[Colour, ...]:
        return self.class_list.palette

    @cached_property
    def _colours(self) -> dict[Colour, int]:
        known = self.class_list.colours(VOID)
        return {c: self.rule.colour_value if label == VOID else self.rule.value(label) for c, label in known.items()}

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Decode one pair.

        Raises:
            ImageError: a file that cannot be decoded.
            LabelError: a label of another size than its image, or with values outside the classes.
        """
        image_path, label_path = self.pairs[index]
        image = load_image(image_path)
        height, width = image.shape[:2]
        found = self._label(index, (width, height))
        if found is None or label_path is None:
            return Sample(image, None, str(image_path))
        raw, label = found
        if raw.shape != (height, width):
            raise _size_error(self.pairs[index], (raw.shape[1], raw.shape[0]), (width, height))
        return Sample(image, label, str(image_path))

    def read_label(self, index: int) -> LabelPair | None:
        """Decode one label map alone; errors as for an item, but the sizes are compared of large ones alone."""
        return self._label(index, None)

    def _label(self, index: int, size: tuple[int, int] | None) -> LabelPair | None:
        image_path, path = self.pairs[index]
        if path is None:
            return None

        def check(header: Image.Image) -> None:
            large = header.width * header.height > LARGE
            other = size or (header_size(image_path) if large else None)
            if other is not None and sorted(other) != sorted(header.size):  # either may be turned by its EXIF block
                raise _size_error((image_path, path), header.size, other)

        raw = load_label(
            path,
            self._colours,
            grey_is_colour=self.class_list.grey,
            values_first=self.rule.values is not None and not self.class_list.coloured,
            white=255 if 255 in (self.rule.values or ()) else 1,
            check=check,
        )
        return raw, self.rule.apply(raw, path)


def _size_error(pair: Pair, found: tuple[int, int], size: tuple[int, int]) -> LabelError:
    return LabelError(
        f"{pair[1]} is {found[0]} x {found[1]} and its image {pair[0].name} {size[0]} x {size[1]} (width x height, "
        "EXIF orientation applied); expected one size"
    )


def read_list(path: Path) -> list[Pair]:
    """Read a list file: `image label` a line, or `image` alone on every line, relative to the list's folder.

    Parts are parted by a tab, or else by blanks; paths with blanks need the tab or double quotes. Empty lines and
    lines that start with # are passed over.

    Raises:
        DataError: missing, not text, empty, a malformed line (its number), or none of the images exists.
    """
    pairs: list[Pair] = []
    for number, line in read_lines(path, names=True):
        if not line or line.startswith("#"):
            continue
        parts = _parts(line)
        if len(parts) > 2:
            raise DataError(
                f"line {number} of {path} has {len(parts)} parts; expected 'image label' "
                "(put a tab between paths that hold blanks, or quote them)"
            )
        if pairs and (len(parts) == 1) != (pairs[0][1] is None):
            raise DataError(
                f"line {number} of {path} has {len(parts)} of the parts 'image label'; earlier lines differ"
            )
        pairs.append((path.parent / parts[0], path.parent / parts[1] if len(parts) == 2 else None))
    if not pairs:
        raise DataError(f"{path} lists no images; expected one 'image label' pair a line")
    if not any(image.exists() for image, _ in pairs):
        if any(_NO_UTF8.search(image.name) for image, _ in pairs):  # the bytes of some other file
            raise DataError(f"{path} is not a text file in UTF-8, and no image has the names in it")
        raise DataError(
            f"{path} lists {len(pairs)} images and none exists (first: {pairs[0][0]}); "
            "paths are relative to the list's folder"
        )
    return pairs


def _parts(line: str) -> list[str]:
    if "\t" in line:
        return [part.strip().strip('"') for part in line.split("\t") if part.strip()]
    return [quoted or plain for quoted, plain in _PARTS.findall(line)]
