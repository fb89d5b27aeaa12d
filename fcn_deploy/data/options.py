"""Open a data set for a model: class names that agree, or one clear error."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fcn_deploy.card import ModelCard
from fcn_deploy.data.class_map import with_map
from fcn_deploy.data.classes import ClassList
from fcn_deploy.data.dataset import Dataset, OnError, Sample, open_dataset
from fcn_deploy.data.pairs import PairDataset
from fcn_deploy.data.sample import LabelPair, Subset
from fcn_deploy.data.survey import check_labels
from fcn_deploy.errors import DataError
from fcn_deploy.system.arguments import Positive, checked_fields
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import SILENT, Progress

GENERATED = "synthetic"


@checked_fields
@dataclass(frozen=True)
class DataOptions:
    """Say which images, with which labels and classes.

    Attributes:
        source: a list of "image label" pairs, a Pascal VOC root, a folder of images, or
            "synthetic[:COUNT[:SEED[:HxW]]]"; None generates scenes.
        labels: the folder of label maps, where the source is a folder of images.
        classes: class names, index = label, or "NAME R G B" entries where label maps are coded by colour; None takes
            those of the data set, else the model's.
        ignore_index: the label value that is unlabelled; None takes 255 and the value one past the last class.
        label_values: the value of each class in the label maps; None for 0, 1, 2, ...
        reduce_zero_label: the classes count from 1 in the label maps, and 0 is unlabelled.
        label_suffix: what follows an image's name in the name of its label map, such as "_mask"; None finds it.
        class_map: a TOML file of "class of the data set" = "class of the model"; see `data.class_map`.
        split: which list of a Pascal VOC root, or which folder of Cityscapes' or Roboflow's layout.
        limit: the largest number of images, spread over the data set; None takes all.
        on_error: at an unreadable image "raise" DataError, or "skip" it with a notice.
    """

    source: StrPath | None = None
    labels: StrPath | None = None
    classes: Sequence[str] | None = None
    ignore_index: int | None = None
    label_values: Sequence[int] | None = None
    reduce_zero_label: bool = False
    label_suffix: str | None = None
    class_map: StrPath | None = None
    split: str = "val"
    limit: Positive | None = None
    on_error: OnError = "raise"

    @classmethod
    def of(cls, data: StrPath | DataOptions | None, *, split: str = "val", limit: int | None = None) -> DataOptions:
        """Return `data` itself if it is options, else options with it as their source."""
        if isinstance(data, DataOptions):
            return data
        return cls(None if data is None else os.fspath(data), split=split, limit=limit)


def open_for_model(card: ModelCard | None, options: DataOptions, progress: Progress = SILENT) -> Dataset:
    """Open the data set and look at its labels; classes without names get the model's.

    Raises:
        DataError: it cannot be opened, its classes are not the model's, or its labels are probably not read rightly.
    """
    dataset = open_unchecked(options, card, progress)
    if card is not None and dataset.classes:
        check_classes(card, dataset.classes, dataset.name)
    check_labels(dataset, training=False, on_error=options.on_error, progress=progress)
    return dataset


def check_classes(card: ModelCard, classes: Sequence[str], name: str) -> None:
    """Raise DataError unless a data set's classes are the model's, in number, name and order.

    A model whose class names were only guessed from their number fits any names.
    """
    if len(classes) != card.num_classes:
        raise DataError(
            f"the model has {card.num_classes} classes ({_first_few(card.classes)}) and {name} has {len(classes)} "
            f"({_first_few(classes)}); expected the same (--classes names those of the data set)"
        )
    if card.classes_guessed:
        return
    for index, (own, other) in enumerate(zip(card.classes, classes, strict=True)):
        if own.strip().casefold() != other.strip().casefold():
            raise DataError(
                f"class {index} is '{own}' for the model and '{other}' in {name}; expected the same classes in the "
                "same order (--classes names those of the data set)"
            )


def check_same_classes(first: str, card: ModelCard, other: str, other_card: ModelCard) -> None:
    """Raise DataError, with both lists, if two files have other classes: one data set cannot score both."""
    try:
        check_classes(card, other_card.classes, other)
    except DataError as error:
        raise DataError(
            f"{first} has {card.num_classes} classes ({', '.join(card.classes)}) and {other} has "
            f"{other_card.num_classes} ({', '.join(other_card.classes)}); compare files of the same classes"
        ) from error


def _first_few(classes: Sequence[str]) -> str:
    return ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")


def open_unchecked(options: DataOptions, card: ModelCard | None, progress: Progress = SILENT) -> Dataset:
    """Open the data set; its classes are those named, whatever they are, else the model's."""

    def attempt(classes: Sequence[str] | None) -> Dataset:
        return open_dataset(
            os.fspath(options.source or GENERATED),
            labels=None if options.labels is None else os.fspath(options.labels),
            classes=classes,
            ignore_index=options.ignore_index,
            label_values=options.label_values,
            reduce_zero_label=options.reduce_zero_label,
            label_suffix=options.label_suffix,
            split=options.split,
            limit=options.limit,
            progress=progress,
        )

    if options.class_map is not None:
        return with_map(attempt(options.classes), Path(options.class_map), card.classes if card is not None else None)
    try:
        return attempt(options.classes)
    except DataError:
        if options.classes is not None or card is None:
            raise
        return attempt(card.classes)


class Unlabelled(Subset):
    """The images of another data set, without its labels and classes."""

    def __init__(self, whole: Dataset) -> None:
        super().__init__(whole, range(len(whole)))
        self.classes, self.palette = (), ()

    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), label=None)

    def read_label(self, index: int) -> LabelPair | None:
        return None


def without_labels(dataset: Dataset) -> Dataset:
    """Return the images of `dataset` alone; label files are not opened."""
    if isinstance(dataset, PairDataset):
        images = [(image, None) for image, _ in dataset.pairs]
        return replace(dataset, pairs=images, class_list=ClassList((), ()))
    if isinstance(dataset, Subset):
        return Unlabelled(Subset(without_labels(dataset.whole), dataset.indices))
    return Unlabelled(dataset)


def open_or_generate(card: ModelCard | None, options: DataOptions, progress: Progress = SILENT) -> Dataset:
    """Open the data set; without a source, the generated scenes, without their labels if the model has other classes.

    Raises:
        DataError: it cannot be opened, or its classes are not the model's.
    """
    if options.source is not None:
        return open_for_model(card, options, progress)
    dataset = open_unchecked(options, None, progress)
    try:
        if card is not None:
            check_classes(card, dataset.classes, dataset.name)
        return dataset
    except DataError:
        progress.say("the generated images are used without their labels: the model has other classes (see --data)")
        return Unlabelled(dataset)


def classes_of(card: ModelCard | None, dataset: Dataset) -> tuple[str, ...]:
    """Return the class names to report with: the data set's, else the model's, else none."""
    return tuple(dataset.classes) or (card.classes if card is not None else ())
