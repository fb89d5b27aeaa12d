"""Look at every image and label map of a data set, and say what is there and what is wrong."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fcn_deploy.data.dataset import Dataset
from fcn_deploy.data.options import DataOptions, open_unchecked
from fcn_deploy.data.survey import LabelCounts
from fcn_deploy.data_check.contact_sheet import write_contact_sheet
from fcn_deploy.errors import DataError, UnnamedClassesError
from fcn_deploy.system.arguments import checked
from fcn_deploy.system.files import StrPath, check_writable
from fcn_deploy.system.progress import SILENT, Progress, Task, track

SCHEMA = 1


@dataclass
class DataReport:
    """Hold what a data set holds.

    Attributes:
        data: what was opened.
        images: images, with or without a label map.
        counts: pixels and label maps of each class, and unlabelled pixels by their value in the files.
        sizes: images of each (height, width), in pixels.
        notes: what was chosen or left out when the set was opened.
        problems: files that cannot be used, each with its reason, and why nothing can be learned from the set.
        sheet: the picture of six overlays, if one was asked for.
        named: whether anybody named the classes; else "class" 7 of `counts` is the value 7 of the files.
    """

    data: str
    images: int
    counts: LabelCounts
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sheet: Path | None = None
    named: bool = True

    @property
    def remarks(self) -> list[str]:
        """Classes without a pixel and the unlabelled share, if there are label maps and their classes are known."""
        return self.counts.remarks() if self.counts.maps and self.named else []

    def to_plain(self) -> dict[str, Any]:
        """Return the report as JSON holds it; shares are fractions 0..1 of all pixels."""
        counts, total = self.counts, max(1, self.counts.total)
        return {
            "schema": SCHEMA,
            "kind": "data",
            "data": self.data,
            "images": self.images,
            "label_maps": counts.maps,
            "sizes": [{"height": h, "width": w, "images": count} for (h, w), count in self.sizes.most_common()],
            "classes": [
                {
                    "name": name,
                    "pixels": counts.pixels[label],
                    "share": counts.pixels[label] / total,
                    "images": counts.images[label],
                }
                for label, name in enumerate(counts.classes)
                if self.named or counts.pixels[label]
            ],
            "unlabelled": {
                "share": counts.unlabelled.total() / total,
                "values": {str(value): pixels for value, pixels in sorted(counts.unlabelled.items())},
            },
            "notes": self.notes,
            "remarks": self.remarks,
            "problems": self.problems,
            "sheet": None if self.sheet is None else str(self.sheet),
        }


@checked
def check_data(data: StrPath | DataOptions, *, sheet: StrPath | None = None, progress: Progress = SILENT) -> DataReport:
    """Decode every image and label map of a data set, and count its classes.

    Args:
        data: as for `evaluate`: a list, a folder, a data set's root; `DataOptions` for a folder with a folder of
            labels, class names, label values and the like. Of a root alone the part "train" is read.
        sheet: where to write a picture of six images with their labels over them, with the classes' colours below.

    Returns:
        Sizes, pixels and images of each class, the unlabelled share, and the problems: a set without problems can be
        trained on.

    Raises:
        DataError: the set cannot be opened, or no image of it can be used.
        OutputError: the picture cannot be written.

    Example:
        >>> import fcn_deploy
        >>> found = fcn_deploy.check_data("synthetic:2:0:48x64")
        >>> found.images, found.problems, found.counts.present[:2]
        (2, [], ('sky', 'building'))
    """
    options = DataOptions.of(data, split="train")
    if sheet is not None:
        check_writable(Path(sheet))
    noted = _Noted(progress)
    dataset, named = _open(options, noted)
    counts = LabelCounts(tuple(dataset.classes))
    report = DataReport(dataset.name, len(dataset), counts, notes=noted.lines, named=named)
    usable = _read_all(dataset, report, progress)
    if not named:
        _tell_values(report)
    if not usable:
        raise DataError(f"none of the {len(dataset)} images of {dataset.name} can be used; first: {report.problems[0]}")
    if named and report.counts.maps and (problem := report.counts.problem()) is not None:
        report.problems.append(problem)
    if sheet is not None:
        report.sheet = Path(sheet)
        write_contact_sheet(dataset, usable, report.sheet)
    return report


def _open(options: DataOptions, progress: Progress) -> tuple[Dataset, bool]:
    """Open the set; without class names, with each value of 8 bits as a class of its own, and False."""
    try:
        return open_unchecked(options, None, progress), True
    except UnnamedClassesError:
        if options.label_values is not None:
            raise
        values = [str(value) for value in range(256)]
        return open_unchecked(replace(options, classes=values), None, SILENT), False


def _tell_values(report: DataReport) -> None:
    report.notes.append("no class names are given (--classes); these are the values in the label maps")
    if report.counts.present == ("0", "255"):
        report.notes.append("black and white: if 255 is a class, give --classes background,NAME --label-values 0,255")


Look = tuple[tuple[int, int], LabelCounts | None]


def _read_all(dataset: Dataset, report: DataReport, progress: Progress) -> list[int]:
    """Fill the report; return the indices of the images that can be used."""
    usable = []
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        found = pool.map(lambda index: _look(dataset, index), range(len(dataset)))
        for index, each in enumerate(track(progress, f"reading {dataset.name}", found, len(dataset))):
            if isinstance(each, DataError):
                report.problems.append(str(each))
                continue
            size, counts = each
            usable.append(index)
            report.sizes[size] += 1
            if counts is not None:
                report.counts.merge(counts)
    finally:
        pool.shutdown(cancel_futures=True)
    return usable


def _look(dataset: Dataset, index: int) -> Look | DataError:
    try:
        sample = dataset[index]
        found = dataset.read_label(index)
    except DataError as error:
        return error
    height, width = sample.image.shape[:2]
    if found is None:
        return (height, width), None
    counts = LabelCounts(tuple(dataset.classes))
    counts.add(found)
    return (height, width), counts


class _Noted:
    """Pass bars on, and keep the messages."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.lines: list[str] = []

    def task(self, description: str, total: int | None) -> AbstractContextManager[Task]:
        return self._progress.task(description, total)

    def say(self, line: str) -> None:
        self.lines.append(line)
