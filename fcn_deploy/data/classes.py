"""Class names and colours of a data set (`classes.txt`), and which label values mean a class.

`classes.txt` has one class a line, in the order of the labels: `NAME`, or `NAME R G B` (also `R G B NAME`) where label
maps are RGB-coded. The name `ignore` with a colour marks pixels of that colour as unlabelled; it takes no label and may
stand more than once. Empty lines and lines that start with # are passed over.

Of label values an explicit ignore index wins: that value alone is unlabelled. Otherwise 255 is, and so is C, one past
the last class (the convention of SegNet on CamVid). Above 255 classes, where 255 is a class, it is C, 65535 and -1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import class_names, ignore_index_for, voc_palette
from fcn_deploy.data.sample import Colour
from fcn_deploy.errors import DataError, LabelError, RecipeError, restated

FILE_NAME = "classes.txt"
VOC_VOID: Colour = (224, 224, 192)  # the colour of VOC's void band, label 255
_NAME_FIRST = re.compile(r"(?P<name>.*\S)\s+(?P<r>\d{1,3})[\s,]+(?P<g>\d{1,3})[\s,]+(?P<b>\d{1,3})")
_COLOUR_FIRST = re.compile(r"(?P<r>\d{1,3})[\s,]+(?P<g>\d{1,3})[\s,]+(?P<b>\d{1,3})\s+(?P<name>\S.*)")


@dataclass(frozen=True)
class ClassList:
    """Names in the order of labels, a colour for each, and the colours that mean unlabelled."""

    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    ignored: tuple[Colour, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str]) -> ClassList:
        """Return `names` with the Pascal VOC colour map, its void colour unlabelled; DataError for a bad name."""
        with restated(DataError, RecipeError):
            return cls(class_names(names), voc_palette(len(names)), (VOC_VOID,))

    def colours(self, unlabelled: int) -> dict[Colour, int]:
        """Label of each colour; those in `ignored` get `unlabelled`."""
        return dict.fromkeys(self.ignored, unlabelled) | {c: label for label, c in enumerate(self.palette)}


def find_classes(folders: Sequence[Path], classes: Sequence[str] | None) -> ClassList | None:
    """Return the classes that were given, or those of the first `classes.txt` in `folders`, or None.

    Names given explicitly win, but keep the colours of a `classes.txt` with as many classes.
    """
    listed = next((read_classes(folder / FILE_NAME) for folder in folders if (folder / FILE_NAME).is_file()), None)
    if classes is None:
        return listed
    given = ClassList.of(classes)
    if listed is None or len(listed.names) != len(given.names):
        return given
    return ClassList(given.names, listed.palette, listed.ignored)


def read_classes(path: Path) -> ClassList:
    """Read a `classes.txt`.

    Raises:
        DataError: not a text file, no classes, a name twice, a colour twice or outside 0..255, or colours for some
            classes only.
    """
    lines = [(number, line) for number, line in read_lines(path) if line and not line.startswith("#")]
    entries = [_entry(path, number, line) for number, line in lines]
    ignored = tuple(colour for name, colour in entries if name == "ignore" and colour is not None)
    kept = [(name, colour) for name, colour in entries if name != "ignore" or colour is None]
    if not kept:
        raise DataError(f"{path} names no class; expected one name a line")
    with restated(DataError, DataError, prefix=f"{path}: "):
        plain = ClassList.of([name for name, _ in kept])
    colours = tuple(colour for _, colour in kept if colour is not None)
    if not colours:
        return ClassList(plain.names, plain.palette, plain.ignored + ignored)
    if len(colours) != len(kept):
        raise DataError(f"{path} gives colours for {len(colours)} of {len(kept)} classes; expected all or none")
    if len(set(colours + ignored)) != len(colours + ignored):
        raise DataError(f"{path} gives the same colour to two classes; an RGB-coded label could mean either")
    return ClassList(plain.names, colours, ignored)


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Return (line number, stripped text) of every line; DataError if the file is missing or is not text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file in UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]


def _entry(path: Path, number: int, line: str) -> tuple[str, Colour | None]:
    match = _NAME_FIRST.fullmatch(line) or _COLOUR_FIRST.fullmatch(line)
    if match is None:
        return line, None
    red, green, blue = (int(match[channel]) for channel in "rgb")
    if max(red, green, blue) > 255:
        raise DataError(f"line {number} of {path} has colour {red} {green} {blue}; expected 0 to 255")
    return match["name"], (red, green, blue)


# What a colour marked as unlabelled becomes where the rule's own values cannot stand in a decoded map: no file's value.
VOID = -(1 << 31)


@dataclass(frozen=True)
class LabelRule:
    """Turns a file's label values into training labels.

    Attributes:
        num_classes: C.
        ignore_index: the one value that is unlabelled; None for the rule in the module's docstring.
    """

    num_classes: int
    ignore_index: int | None = None

    @property
    def unlabelled(self) -> int:
        """What unlabelled pixels become: 255 in uint8, or -1 in int32 above 255 classes."""
        return ignore_index_for(self.num_classes)

    @property
    def raw_unlabelled(self) -> tuple[int, ...]:
        """The values that are unlabelled in a file."""
        if self.ignore_index is not None:
            return (self.ignore_index,)
        return (255, self.num_classes) if self.unlabelled == 255 else (self.num_classes, 65535, -1)

    @property
    def colour_value(self) -> int:
        """The value that pixels of a colour marked as unlabelled get: one of `raw_unlabelled`, or `VOID`."""
        first = self.raw_unlabelled[0]
        return first if 0 <= first < 65535 else VOID

    def describe(self) -> str:
        """Return the rule in one line, for a person."""
        if self.ignore_index is not None:
            return f"label {self.ignore_index} counts as unlabelled"
        values = " and ".join(str(value) for value in dict.fromkeys(self.raw_unlabelled))
        return f"labels {values} count as unlabelled (--ignore-index changes that)"

    def apply(self, raw: NDArray[Any], path: Path) -> NDArray[Any]:
        """Return labels of a file's values.

        Args:
            raw: integer[H, W].
            path: the file, for the error.

        Returns:
            uint8[H, W] with 255 where unlabelled, or int32[H, W] with -1 above 255 classes.

        Raises:
            LabelError: a value that is neither a class nor unlabelled: which, in how many pixels.
        """
        unlabelled = raw == self.raw_unlabelled[0]
        for value in (*self.raw_unlabelled[1:], *((VOID,) if raw.dtype.kind == "i" else ())):
            unlabelled |= raw == value
        outside = raw >= self.num_classes if raw.dtype.kind == "u" else (raw >= self.num_classes) | (raw < 0)
        outside &= ~unlabelled
        if outside.any():
            raise self._error(raw[outside], path)
        labels: NDArray[Any] = raw.astype(np.uint8 if self.unlabelled == 255 else np.int32)
        np.copyto(labels, self.unlabelled, where=unlabelled)
        return labels

    def _error(self, values: NDArray[Any], path: Path) -> LabelError:
        found, counts = np.unique(values, return_counts=True)
        shown = ", ".join(f"{value} ({count} pixels)" for value, count in zip(found[:4], counts[:4], strict=True))
        more = f" and {len(found) - 4} more values" if len(found) > 4 else ""
        return LabelError(
            f"{path} has label {shown}{more}; expected 0 to {self.num_classes - 1} for {self.num_classes} classes: "
            f"name the missing classes, or set --ignore-index if such pixels are unlabelled"
        )
