"""Write the command line that repeats a run, for its checkpoints' notes."""

from __future__ import annotations

import shlex
from dataclasses import MISSING, fields

from fcn_deploy.training.config import TrainConfig

_PLAIN = (
    "labels", "val_labels", "ignore_index", "init", "epochs", "batch", "lr", "momentum", "weight_decay", "warmup",
    "poly_power", "clip_norm", "seed", "eval_every", "bad_images",
)  # fmt: skip


def command_line(config: TrainConfig) -> str:
    """Return `fcn-deploy train` with every option that is not at its default; what changes no result is left out."""
    words = ["fcn-deploy", "train", "--data", config.data, "--val", config.val, "--model", config.model]
    for name, value in config.options.items():
        words += ["--fixed-upsampling"] if name == "learned" else [f"--{name}", str(value)]
    for name in _PLAIN:
        if getattr(config, name) != _default(name):
            words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    words += _shaped(config)
    return shlex.join([*words, "-o", str(config.output)])


def _shaped(config: TrainConfig) -> list[str]:
    """Return the options whose text is not simply their value."""
    words = []
    if config.classes is not None:
        words += ["--classes", ",".join(config.classes)]
    if config.crop != _default("crop"):
        words += ["--crop", f"{config.crop[0]}x{config.crop[1]}"]
    if config.scale != _default("scale"):
        words += ["--scale", f"{config.scale[0]},{config.scale[1]}"]
    if not config.flip:
        words += ["--no-flip"]
    if config.amp is not None:
        words += ["--amp" if config.amp else "--no-amp"]
    return words


def _default(name: str) -> object:
    default = next(f.default for f in fields(TrainConfig) if f.name == name)
    return None if default is MISSING else default
