"""Turn the arguments of `train` into settings, data sets and a model; see every mistake that can be seen before it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

import torch
from torch import nn

from fcn_deploy.card import ModelCard
from fcn_deploy.data.class_map import with_map
from fcn_deploy.data.dataset import Dataset, OnError, open_dataset
from fcn_deploy.data.splits import in_both, share_of, split_off
from fcn_deploy.data.survey import check_labels
from fcn_deploy.errors import DataError, TrainingError
from fcn_deploy.models.fit import listed
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.models.transfer import load_weights_into
from fcn_deploy.system.arguments import fitting
from fcn_deploy.system.files import StrPath, sha256
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.quantized import tuned_settings
from fcn_deploy.training.state import STATE_FILE, read_saved_state
from fcn_deploy.vocabulary import BadImages, Device, Head, Upsampling

NETWORK = ("width", "head", "upsampling", "learned")  # go into the constructor of the network
PATHS = ("data", "val", "labels", "val_labels", "init", "quantize", "class_map")


class TrainArguments(TypedDict, total=False):
    """The keyword arguments of `train` that `TrainConfig` explains; the last four are the network's own."""

    data: StrPath
    val: StrPath
    labels: StrPath
    val_labels: StrPath
    classes: Sequence[str]
    ignore_index: int
    label_values: Sequence[int]
    reduce_zero_label: bool
    label_suffix: str
    class_map: StrPath
    split: str
    val_split: str
    bad_images: BadImages
    model: str
    init: StrPath
    quantize: StrPath
    epochs: int
    batch: int
    crop: tuple[int, int]
    scale: tuple[float, float]
    flip: bool
    lr: float
    momentum: float
    weight_decay: float
    warmup: int
    poly_power: float
    clip_norm: float
    seed: int
    eval_every: int
    device: Device
    amp: bool
    workers: int
    save_seconds: float
    width: float
    head: Head
    upsampling: Upsampling
    learned: bool


def config_of(output: Path, given: TrainArguments, *, resume: bool) -> TrainConfig:
    """Return what was given, over the configuration of the run in `output` if it is resumed, over the defaults.

    Raises:
        TrainingError: there is no run to resume and no data to begin one with, or a value is out of range.
    """
    hints = get_type_hints(TrainArguments)
    settings = {
        name: value if value is None else fitting(name, hints.get(name), value) for name, value in given.items()
    }
    fields: dict[str, Any] = {name: value for name, value in settings.items() if name not in NETWORK}
    network: dict[str, Any] = {name: value for name, value in settings.items() if name in NETWORK}
    fields |= {name: os.fspath(fields[name]) for name in PATHS if fields.get(name) is not None}
    if resume and (output / STATE_FILE).exists():
        saved = read_saved_state(output / STATE_FILE).config
        return replace(saved, output=output, options={**saved.options, **network}, **fields)
    if not {"data", "val"} <= fields.keys():
        missing = f"no run in {output} to resume; to begin one" if resume else "to begin a run"
        raise TrainingError(f"{missing}, give at least --data and --val")
    if fields.get("quantize") is not None:
        more, own = tuned_settings(fields)
        fields, network = more | fields, own | network
    return TrainConfig(output=output, options=network, **fields)


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
    train, val = _open_both(config, progress)
    for option, dataset in (("--data", train), ("--val", val)):
        _check_labelled(option, dataset, skip_bad=config.bad_images == "skip")
    if train.classes != val.classes:
        raise DataError(f"the classes differ: {_difference(train, val)}; name them with --classes")
    common = in_both(train, val)
    same = common == len(val) == len(train)
    for dataset in (train,) if same else (train, val):
        on_error: OnError = "skip" if config.bad_images == "skip" else "raise"
        check_labels(dataset, training=dataset is train, on_error=on_error, progress=progress)
    if common:
        found = "--val is --data" if same else f"{common} of the {len(val)} validation images are training images too"
        progress.say(f"{found}: its mIoU says nothing of new images (--val 0.2 keeps a fifth of --data apart)")
    card = replace(new_card(config.model, train.classes, **config.options), palette=train.palette)
    return RunInputs(train, val, card, _fingerprint(config, train, val))


def _open_both(config: TrainConfig, progress: Progress) -> tuple[Dataset, Dataset]:
    train = _open(config, config.data, config.labels, config.split, progress)
    share = share_of(config.val)
    if share is None:
        return train, _open(config, config.val, config.val_labels, config.val_split, progress)
    if config.val_labels is not None:
        raise DataError(f"--val-labels goes with a folder of images, and --val {config.val} is a share of --data")
    return split_off(train, share, config.seed)


def _open(config: TrainConfig, source: str, labels: str | None, split: str, progress: Progress) -> Dataset:
    dataset = open_dataset(
        source,
        labels=labels,
        classes=config.classes,
        ignore_index=config.ignore_index,
        label_values=config.label_values,
        reduce_zero_label=config.reduce_zero_label,
        label_suffix=config.label_suffix,
        split=split,
        progress=progress,
    )
    return dataset if config.class_map is None else with_map(dataset, Path(config.class_map), None)


def new_model(config: TrainConfig, card: ModelCard, progress: Progress = SILENT) -> nn.Module:
    """Return weights decided by the seed, then by the checkpoint that the run starts from, if any.

    Raises:
        RecipeError: the model does not take one of its options.
        CheckpointError: the checkpoint cannot be read or has nothing for this model.
        TrainingError: the run is for INT8, and the checkpoint does not hold the whole network.
    """
    torch.manual_seed(config.seed)
    model = build(card)
    if config.init is not None:
        taken = load_weights_into(model, Path(config.init))
        progress.say(f"{config.init}: {taken}")
        if config.quantize is not None and taken.fresh:
            raise TrainingError(
                f"{config.init} lacks {listed(taken.fresh)} of this {config.model}; --quantize tunes a trained network "
                "of the same classes: train it first"
            )
    return model


def _check_labelled(option: str, dataset: Dataset, *, skip_bad: bool) -> None:
    """Refuse a set that is empty or, as its first image shows, has no labels, before an epoch is spent on the other."""
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
