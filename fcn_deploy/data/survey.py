"""Count the pixels of each class in label maps, before anything is trained or scored with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from fcn_deploy.card import ignore_index_for
from fcn_deploy.data.dataset import OnError
from fcn_deploy.data.labels import VOID, bands
from fcn_deploy.data.pairs import PairDataset
from fcn_deploy.data.sample import Dataset, LabelPair, Subset, evenly_spaced
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.errors import DataError
from fcn_deploy.system.progress import SILENT, Progress, track

MOST = 1000  # label maps that are read before a run; `data check` reads all
_SHOWN = 5  # classes or values that one line names


@dataclass
class LabelCounts:
    """What label maps hold.

    Attributes:
        classes: names, index = label.
        pixels, images: of each class its pixels, and the label maps that have one.
        unlabelled: pixels of each value that means unlabelled in the files.
        maps: label maps counted.
    """

    classes: tuple[str, ...]
    pixels: Counter[int] = field(default_factory=Counter)
    images: Counter[int] = field(default_factory=Counter)
    unlabelled: Counter[int] = field(default_factory=Counter)
    maps: int = 0

    def add(self, found: LabelPair) -> None:
        """Count one label map: its values in the file, and its labels."""
        raw, label = found
        counts = np.zeros(len(self.classes), np.int64)
        for rows in bands(label.shape):
            void = label[rows] == ignore_index_for(len(self.classes))
            counts += np.bincount(label[rows][~void], minlength=len(self.classes))
            values, numbers = np.unique(raw[rows][void], return_counts=True)
            self.unlabelled.update(dict(zip(values.tolist(), numbers.tolist(), strict=True)))
        self.pixels.update(dict(enumerate(counts.tolist())))
        self.images.update(np.flatnonzero(counts).tolist())
        self.maps += 1

    def merge(self, other: LabelCounts) -> None:
        """Add what another part of the same set holds."""
        for mine, more in ((self.pixels, other.pixels), (self.images, other.images)):
            mine.update(more)
        self.unlabelled.update(other.unlabelled)
        self.maps += other.maps

    @property
    def labelled(self) -> int:
        """Pixels that have a class."""
        return self.pixels.total()

    @property
    def total(self) -> int:
        """Pixels, labelled or not."""
        return self.labelled + self.unlabelled.total()

    @property
    def present(self) -> tuple[str, ...]:
        """Classes with a pixel."""
        return tuple(name for index, name in enumerate(self.classes) if self.pixels[index])

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes without a pixel."""
        return tuple(name for index, name in enumerate(self.classes) if not self.pixels[index])

    @property
    def black_and_white(self) -> bool:
        """Whether the maps hold one class and 255, which is unlabelled: what the mask of one object looks like."""
        return len(self.present) == 1 and self.unlabelled[255] > 0

    def remarks(self) -> list[str]:
        """Return what a user should know: the classes without a pixel, and the share that is unlabelled."""
        lines = []
        if self.missing:
            words = ("class", "has") if len(self.missing) == 1 else ("classes", "have")
            lines.append(f"{words[0]} {_few(self.missing)} {words[1]} no pixel")
        if len(self.present) == 1 and not self.black_and_white:
            lines.append(f"every labelled pixel is '{self.present[0]}'")
        if self.unlabelled:
            lines.append(self._unlabelled())
        return lines

    def problem(self) -> str | None:
        """Return why nothing can be learned from these maps, None if something can."""
        if not self.labelled:
            return "no labelled pixel"
        if len(self.classes) < 2:
            only = self.classes[0]
            return f"one class alone ({only}); name the background too, such as --classes background,{only}"
        return None if len(self.present) > 1 else "; ".join([*self.remarks(), *self._advice()])

    def _advice(self) -> list[str]:
        if not self.black_and_white:
            return ["expected at least two classes with pixels; `fcn-deploy data check` shows what the files hold"]
        value = next(index for index in range(len(self.classes)) if self.pixels[index])
        values = f"{value},255" if len(self.classes) == 2 else "VALUE,VALUE,..."
        return [f"if 255 is a class, give --label-values {values}"]

    def _unlabelled(self) -> str:
        values = sorted(self.unlabelled)
        named = _few([str(value) for value in values if value != VOID])
        colours = "of a colour marked 'ignore'" if VOID in values else ""
        verb = "are" if len(values) > 1 else "is"
        words = " or ".join(filter(None, (named, colours)))
        line = f"{percent(self.unlabelled.total(), self.total)} of the pixels are {words}, which {verb} unlabelled"
        beyond = len(self.classes)
        if beyond != 255 and self.unlabelled[beyond]:
            line += f" (if {beyond} is a class, name it; if classes count from 1, give --reduce-zero-label)"
        return line


def percent(part: int, whole: int) -> str:
    """Return a share with two digits: "21 %", "0.31 %"."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.01:
        return "under 0.01 %"
    return f"{share:.0f} %" if share >= 9.95 else f"{share:.2g} %"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def count_labels(
    dataset: Dataset, *, on_error: OnError = "raise", most: int | None = None, progress: Progress = SILENT
) -> LabelCounts:
    """Count the pixels of each class; images are not decoded.

    Args:
        on_error: whether a label map that cannot be used raises or is left out.
        most: the largest number of label maps, spread over the set; None reads all.

    Raises:
        DataError: a label map that cannot be used ("raise").
    """
    chosen = dataset if most is None else evenly_spaced(dataset, most)
    counts = LabelCounts(tuple(dataset.classes))
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        parts = pool.map(lambda index: _count_one(chosen, index), range(len(chosen)))
        for part in track(progress, f"labels of {dataset.name}", parts, len(chosen)):
            if isinstance(part, LabelCounts):
                counts.merge(part)
            elif on_error == "raise":
                raise part
    finally:
        pool.shutdown(cancel_futures=True)
    return counts


def _count_one(dataset: Dataset, index: int) -> LabelCounts | DataError:
    counts = LabelCounts(tuple(dataset.classes))
    try:
        found = dataset.read_label(index)
    except DataError as error:
        return error
    if found is not None:
        counts.add(found)
    return counts


def check_labels(dataset: Dataset, *, training: bool, on_error: OnError = "raise", progress: Progress = SILENT) -> None:
    """Tell `progress` which classes have no pixel and what is unlabelled, before the set is used.

    Generated scenes, and images without labels, are passed over.

    Args:
        training: whether fewer than two classes are an error. To score a set, one may be enough, unless 255 is
            unlabelled in it and was not given as such: then the maps are probably black and white.

    Raises:
        DataError: the set is no use, or a label map cannot be used.
    """
    whole = dataset
    while isinstance(whole, Subset):
        whole = whole.whole
    if isinstance(whole, SyntheticDataset):
        return
    counts = count_labels(dataset, on_error=on_error, most=MOST, progress=progress)
    if not counts.maps:
        return
    meant = isinstance(whole, PairDataset) and whole.rule.ignore_index is not None
    if (training or (counts.black_and_white and not meant)) and (problem := counts.problem()) is not None:
        raise DataError(f"{dataset.name}: {problem}")
    where = f"{dataset.name} ({MOST} of {len(dataset)} label maps)" if len(dataset) > MOST else dataset.name
    for line in counts.remarks():
        progress.say(f"{where}: {line}")
