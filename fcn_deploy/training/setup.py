"""From a configuration to data sets and a model, with every mistake that can be seen before training seen here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from fcn_deploy.card import ModelCard
from fcn_deploy.data.dataset import Dataset, open_dataset
from fcn_deploy.errors import DataError
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.models.transfer import load_weights_into
from fcn_deploy.system.files import sha256
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.training.config import TrainConfig


@dataclass(frozen=True)
class RunInputs:
    """What a run works on.

    Attributes:
        fingerprint: another one if the data sets have other images, as far as their lists tell.
    """

    train: Dataset
    val: Dataset
    card: ModelCard
    fingerprint: str


def open_run_inputs(config: TrainConfig, progress: Progress = SILENT) -> RunInputs:
    """Open both data sets and make the card.

    Raises:
        DataError: a set cannot be opened, is empty, or the two have different classes.
        UnknownNameError: no such model.
    """
    common = {"classes": config.classes, "ignore_index": config.ignore_index, "progress": progress}
    train = open_dataset(config.data, labels=config.labels, split="train", **common)  # type: ignore[arg-type]
    val = open_dataset(config.val, labels=config.val_labels, split="val", **common)  # type: ignore[arg-type]
    for option, dataset in (("--data", train), ("--val", val)):
        _check_labelled(option, dataset, skip_bad=config.bad_images == "skip")
    if train.classes != val.classes:
        raise DataError(f"the classes differ: {_difference(train, val)}; name them with --classes")
    card = replace(new_card(config.model, train.classes, **config.options), palette=train.palette)
    return RunInputs(train, val, card, _fingerprint(config, train, val))


def new_model(config: TrainConfig, card: ModelCard, progress: Progress = SILENT) -> nn.Module:
    """Return weights decided by the seed, then by the checkpoint that the run starts from, if any.

    Raises:
        RecipeError: the model does not take one of its options.
        CheckpointError: the checkpoint cannot be read or has nothing for this model.
    """
    torch.manual_seed(config.seed)
    model = build(card)
    if config.init is not None:
        progress.say(f"{config.init}: {load_weights_into(model, Path(config.init))}")
    return model


def _check_labelled(option: str, dataset: Dataset, *, skip_bad: bool) -> None:
    """Refuse a set that is empty or, as its first image tells, has no labels, before an epoch is spent on the other."""
    if len(dataset) == 0:
        raise DataError(f"{option} {dataset.name} has no images")
    try:
        labelled = dataset[0].label is not None
    except DataError:
        if not skip_bad:
            raise
        return
    if not labelled:
        name = "--val-labels" if option == "--val" else "--labels"
        raise DataError(f"{option} {dataset.name} has no labels; give a list of pairs, or their folder with {name}")


def _fingerprint(config: TrainConfig, train: Dataset, val: Dataset) -> str:
    lists = [sha256(Path(source)) for source in (config.data, config.val) if Path(source).is_file()]
    facts = [len(train), len(val), train.classes, lists]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _difference(train: Dataset, val: Dataset) -> str:
    if len(train.classes) != len(val.classes):
        return f"{train.name} has {len(train.classes)}, {val.name} has {len(val.classes)}"
    index = next(i for i, (a, b) in enumerate(zip(train.classes, val.classes, strict=True)) if a != b)
    return f"class {index} is '{train.classes[index]}' in {train.name} and '{val.classes[index]}' in {val.name}"
