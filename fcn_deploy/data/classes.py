"""Class names and colours of a data set: `classes.txt`, or the file that an annotation tool writes.

`classes.txt` has one class per line, in order of the labels: `NAME`, or `NAME R G B` (also `R G B NAME`) where label
maps are coded by colour. The name `ignore` with a colour marks pixels of that colour as unlabelled; it takes no label
and may appear more than once. Empty lines and lines that start with # are skipped. CVAT's `labelmap.txt` has
`NAME:R,G,B:parts:actions`, labelme's `class_names.txt` names alone, Roboflow's `_classes.csv` `value, name`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fcn_deploy.card import class_names, voc_palette
from fcn_deploy.data.sample import Colour
from fcn_deploy.errors import DataError, RecipeError, restated
from fcn_deploy.system.apart import reads
from fcn_deploy.system.files import require_plain

FILE_NAME = "classes.txt"
FILE_NAMES = (FILE_NAME, "labelmap.txt", "class_names.txt", "_classes.csv")
VOC_VOID: Colour = (224, 224, 192)  # the colour of VOC's void band, label 255
_LINE_END = re.compile(r"\r\n|\n|\r")  # str.splitlines also splits at characters that names may have
_FORMS = (
    re.compile(r"(?P<name>[^:]*):(?P<r>\d{1,3}),(?P<g>\d{1,3}),(?P<b>\d{1,3}):[^:]*:[^:]*"),
    re.compile(r"(?P<name>.*\S)\s+(?P<r>\d{1,3})[\s,]+(?P<g>\d{1,3})[\s,]+(?P<b>\d{1,3})"),
    re.compile(r"(?P<r>\d{1,3})[\s,]+(?P<g>\d{1,3})[\s,]+(?P<b>\d{1,3})\s+(?P<name>\S.*)"),
)


@dataclass(frozen=True)
class ClassList:
    """Names in the order of labels, a colour for each, and the colours that mean unlabelled.

    Attributes:
        coloured: whether somebody gave the colours; else they are Pascal VOC's.
    """

    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    ignored: tuple[Colour, ...] = ()
    coloured: bool = False

    @classmethod
    def of(cls, entries: Sequence[str]) -> ClassList:
        """Return the classes of `NAME` or `NAME R G B` entries; without colours, those of Pascal VOC and its void.

        Raises:
            DataError: no class, a name twice, a colour twice or outside 0..255, or colours for some classes only.
        """
        return _listed([_entry(entry) for entry in entries])

    @property
    def entries(self) -> tuple[str, ...]:
        """What `of` makes the same list of."""
        if not self.coloured:
            return self.names
        named = [*zip(self.names, self.palette, strict=True), *(("ignore", colour) for colour in self.ignored)]
        return tuple(f"{name} {red} {green} {blue}" for name, (red, green, blue) in named)

    @property
    def grey(self) -> bool:
        """Whether the colours were given and all are grey, so that the values of a grey file are colours."""
        return self.coloured and all(red == green == blue for red, green, blue in (*self.palette, *self.ignored))

    def colours(self, unlabelled: int) -> dict[Colour, int]:
        """Label of each colour; those in `ignored` get `unlabelled`."""
        return dict.fromkeys(self.ignored, unlabelled) | {c: label for label, c in enumerate(self.palette)}


def find_classes(folders: Sequence[Path], classes: Sequence[str] | None) -> ClassList | None:
    """Return the classes that were given, or those of the first file of `FILE_NAMES` in `folders`, or None.

    Names given explicitly win, but keep the colours of a file with as many classes.
    """
    paths = (folder / name for folder in folders for name in FILE_NAMES)
    listed = next((read_classes(path) for path in paths if path.is_file()), None)
    if classes is None:
        return listed
    given = ClassList.of(classes)
    if given.coloured or listed is None or len(listed.names) != len(given.names):
        return given
    return ClassList(given.names, listed.palette, listed.ignored, listed.coloured)


def read_classes(path: Path) -> ClassList:
    """Read a `classes.txt`, `labelmap.txt`, `class_names.txt` or `_classes.csv`.

    Raises:
        DataError: not a text file, or as for `ClassList.of`.
    """
    lines = [(number, line) for number, line in read_lines(path, stream=False) if line and not line.startswith("#")]
    if path.suffix.lower() == ".csv":
        return _listed([(name, None) for name in _numbered(path, [line for _, line in lines])], f"{path}")
    entries = []
    for number, line in lines:
        with restated(DataError, DataError, prefix=f"line {number} of {path} "):
            entries.append(_entry(line))
    return _listed(entries, f"{path}")


def _listed(entries: Sequence[tuple[str, Colour | None]], where: str = "the class list") -> ClassList:
    ignored = tuple(colour for name, colour in entries if name == "ignore" and colour is not None)
    kept = [(name, colour) for name, colour in entries if name != "ignore" or colour is None]
    kept = [(name, colour) for name, colour in kept if name != "__ignore__"]  # labelme's word for unlabelled
    if not kept:
        raise DataError(f"{where} names no class; expected one name a line")
    with restated(DataError, RecipeError, prefix=f"{where}: "):
        names = class_names([name for name, _ in kept])
    colours = tuple(colour for _, colour in kept if colour is not None)
    if not colours:
        return ClassList(names, voc_palette(len(names)), (VOC_VOID, *ignored))
    if len(colours) != len(kept):
        raise DataError(f"{where} gives colours for {len(colours)} of {len(kept)} classes; expected all or none")
    if len(set(colours + ignored)) != len(colours + ignored):
        raise DataError(f"{where} gives the same colour to two classes; an RGB-coded label could mean either")
    return ClassList(names, colours, ignored, coloured=True)


def _numbered(path: Path, lines: Sequence[str]) -> list[str]:
    """Return the names of `value, name` lines below a heading; DataError unless the values count from 0."""
    parts = [[part.strip() for part in line.split(",", 1)] for line in lines[1:]]
    if [part[0] for part in parts] != [str(index) for index in range(len(parts))]:
        raise DataError(f"{path} does not number its classes 0, 1, 2, ...; give --classes and --label-values")
    return [part[-1] for part in parts]


def read_lines(path: Path, *, stream: bool = True, names: bool = False) -> list[tuple[int, str]]:
    """Return (line number, stripped text) of every line; DataError if the file is missing or is not text.

    Without `stream`, a pipe or a device is refused. Lines that are `names` of files keep bytes that are no UTF-8.
    """
    reads(path)
    try:
        data = (path if stream else require_plain(path)).read_bytes()
        text = data.decode("utf-8-sig", "surrogateescape" if names and b"\0" not in data else "strict")
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file in UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if "\0" in text:  # which no name of a file or class has
        raise DataError(f"{path} is not a text file: it has a zero byte")
    return [(number, line.strip()) for number, line in enumerate(_LINE_END.split(text), start=1)]


def _entry(line: str) -> tuple[str, Colour | None]:
    match = next((found for form in _FORMS if (found := form.fullmatch(line.strip()))), None)
    if match is None:
        return line.strip(), None
    red, green, blue = (int(match[channel]) for channel in "rgb")
    if max(red, green, blue) > 255:
        raise DataError(f"has colour {red} {green} {blue}; expected 0 to 255")
    return match["name"], (red, green, blue)
