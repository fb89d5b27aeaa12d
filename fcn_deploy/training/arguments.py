"""Turn the keyword arguments of `train` into the configuration of a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

from fcn_deploy.errors import TrainingError
from fcn_deploy.system.arguments import fitting
from fcn_deploy.system.files import StrPath
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.state import STATE_FILE, read_saved_state
from fcn_deploy.vocabulary import BadImages, Device, Head, Upsampling

NETWORK = ("width", "head", "upsampling", "learned")  # go into the constructor of the network
PATHS = ("data", "val", "labels", "val_labels", "init")


class TrainArguments(TypedDict, total=False):
    """The keyword arguments of `train` that `TrainConfig` explains; the last four are the network's own."""

    data: StrPath
    val: StrPath
    labels: StrPath
    val_labels: StrPath
    classes: Sequence[str]
    ignore_index: int
    bad_images: BadImages
    model: str
    init: StrPath
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
    return TrainConfig(output=output, options=network, **fields)
