"""Open any data set by one string, and go through it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from fcn_deploy.card import VOC_CLASSES
from fcn_deploy.data.classes import ClassList, LabelRule, find_classes
from fcn_deploy.data.images import SUFFIXES
from fcn_deploy.data.pairs import Pair, PairDataset, find_voc_root, match_folders, read_list, read_voc_split
from fcn_deploy.data.sample import Dataset, Sample, evenly_spaced
from fcn_deploy.data.synthetic import dataset as synthetic
from fcn_deploy.errors import DataError
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
    split: str = "val",
    limit: int | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """Open a data set without decoding any of it.

    Args:
        source, labels, ignore_index, split, limit: as in `DataOptions`; the source may be one image file too, with the
            file of its labels, or the VOCdevkit above a Pascal VOC root.
        classes: class names; they win over a `classes.txt` beside the list, in the VOC root, or in or above the
            images folder, which wins over VOC's own names for the VOC layout. Generated scenes take eight.
        progress: gets the label rule and what was left out.

    Raises:
        DataError: nothing there, nothing in it, a malformed list, class names that nobody gave, or `labels` for what
            has its own.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit is {limit}; expected at least 1 image")
    if source.split(":")[0] == "synthetic":
        _refuse_labels(labels, f"{source} is generated with its labels")
        dataset: Dataset = synthetic.open_source(source, classes, ignore_index)
    else:
        with reading(Path(source), DataError):
            dataset = _open_files(Path(source), labels, classes, ignore_index, split, progress)
    return dataset if limit is None else evenly_spaced(dataset, limit)


def _open_files(
    source: Path,
    labels: str | None,
    classes: Sequence[str] | None,
    ignore_index: int | None,
    split: str,
    progress: Progress,
) -> Dataset:
    if not source.exists():
        raise DataError(f"data set {source} does not exist; expected a list file, a folder or 'synthetic'")
    pairs, folders, fallback = _find_pairs(source, None if labels is None else Path(labels), split, progress)
    listed = find_classes(folders, classes) or fallback
    labelled = pairs[0][1] is not None
    if listed is None and labelled:
        raise DataError(
            f"no class names for {source}; put classes.txt (one name per line) in {folders[0]}, "
            "or give the class names (--classes)"
        )
    rule = LabelRule(len(listed.names) if listed else 0, ignore_index)
    if labelled:
        progress.say(f"{source}: {rule.describe()}")
    return PairDataset(str(source), pairs, listed or ClassList((), ()), rule)


def _find_pairs(
    source: Path, labels: Path | None, split: str, progress: Progress
) -> tuple[list[Pair], list[Path], ClassList | None]:
    """Return the pairs, the folders where `classes.txt` may be, and the classes if there is none."""
    if source.is_file() and source.suffix.lower() in SUFFIXES:
        return [(source, labels)], [source.parent], None
    if source.is_file():
        _refuse_labels(labels, f"{source} is a list, which names the label of each image itself")
        return read_list(source), [source.parent], None
    root = find_voc_root(source) if labels is None else None
    if root is not None:
        return read_voc_split(root, split), [root], ClassList.of(VOC_CLASSES)
    folders = [source, source.parent] if labels is None else [source, source.parent, labels, labels.parent]
    return match_folders(source, labels, progress), folders, None


def _refuse_labels(labels: str | Path | None, why: str) -> None:
    if labels is not None:
        raise DataError(
            f"{labels} would not be looked at: a folder of labels goes with a folder of images, and {why}; leave it out"
        )


def iterate(dataset: Dataset, *, on_error: OnError = "raise", progress: Progress = SILENT) -> Iterator[Sample]:
    """Yield every sample in order.

    Args:
        on_error: "raise" stops at the first file that cannot be used; "skip" leaves it out and tells `progress`
            each such file and, at the end, how many there were.

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
