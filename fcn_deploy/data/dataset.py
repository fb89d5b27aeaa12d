"""Open any data set by one string, and go through it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from fcn_deploy.data.classes import ClassList, find_classes
from fcn_deploy.data.labels import LabelRule
from fcn_deploy.data.layouts import find_pairs, refuse_labels
from fcn_deploy.data.pairs import PairDataset
from fcn_deploy.data.sample import Dataset, Sample, evenly_spaced
from fcn_deploy.data.synthetic import dataset as synthetic
from fcn_deploy.errors import DataError, UnnamedClassesError
from fcn_deploy.system.apart import reads_all
from fcn_deploy.system.files import reading
from fcn_deploy.system.progress import SILENT, Progress

__all__ = ["Dataset", "Sample", "iterate", "open_dataset"]

OnError = Literal["raise", "skip"]  # at a file that cannot be used


def open_dataset(
    source: str,
    *,
    labels: str | None = None,
    classes: Sequence[str] | None = None,
    ignore_index: int | None = None,
    label_values: Sequence[int] | None = None,
    reduce_zero_label: bool = False,
    label_suffix: str | None = None,
    split: str = "val",
    limit: int | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """Open a data set without decoding any of it.

    Args:
        source, labels, ignore_index, label_values, reduce_zero_label, label_suffix, split, limit: as in
            `DataOptions`; the source may be one image file too, with the file of its labels, or the VOCdevkit above a
            Pascal VOC root.
        classes: class names, or `NAME R G B` entries; they win over a `classes.txt` next to the list, in the VOC root,
            or in or above the images folder, which wins over VOC's and Cityscapes' own names. Generated scenes take
            eight.
        progress: gets what was chosen and what was left out.

    Raises:
        DataError: nothing there, nothing in it, a malformed list, or `labels` for what has its own.
        UnnamedClassesError: the class names are not given.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit is {limit}; expected at least 1 image")
    if source.split(":")[0] == "synthetic":
        refuse_labels(labels, f"{source} is generated with its labels")
        dataset: Dataset = synthetic.open_source(source, classes, ignore_index)
        return dataset if limit is None else evenly_spaced(dataset, limit)
    path = Path(source)
    with reading(path, DataError):
        if not path.exists():
            raise DataError(f"data set {source} does not exist; expected a list file, a folder or 'synthetic'")
        found = find_pairs(path, None if labels is None else Path(labels), label_suffix, split, progress)
        listed = find_classes(found.folders, classes) or found.classes
    if listed is None and found.labelled:
        raise UnnamedClassesError(
            f"no class names for {source}; put classes.txt (one name per line) in {found.folders[0]}, "
            "or give the class names (--classes)"
        )
    listed = listed or ClassList((), ())
    rule = LabelRule(len(listed.names))
    if found.labelled:
        rule = LabelRule.of(len(listed.names), ignore_index, label_values, reduce_zero_label)
    if rule == LabelRule(len(listed.names)) and found.values is not None and len(found.values) == len(listed.names):
        rule = replace(rule, values=found.values, void=found.void)
    reads_all(lambda: (part for pair in found.pairs for part in pair if part is not None))
    pairs = PairDataset(source, found.pairs, listed, rule)
    return pairs if limit is None else evenly_spaced(pairs, limit)


def iterate(dataset: Dataset, *, on_error: OnError = "raise", progress: Progress = SILENT) -> Iterator[Sample]:
    """Yield every sample in order.

    Args:
        on_error: "raise" stops at the first file that cannot be used; "skip" leaves it out and reports
            each such file and, at the end, their number to `progress`.

    Raises:
        DataError: a file that cannot be used ("raise"), or none that can ("skip").
    """
    skipped = 0
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except DataError as error:
            if on_error == "raise":
                raise
            skipped += 1
            progress.say(f"skipped: {error}")
            if skipped == len(dataset):
                raise DataError(
                    f"none of the {skipped} samples of {dataset.name} can be used; last: {error}"
                ) from error
            continue
        yield sample
    if skipped:
        progress.say(f"{skipped} of {len(dataset)} samples of {dataset.name} were left out")
