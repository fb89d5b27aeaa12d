"""Define everything that decides what a training run does, as one value that its state file holds."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from fcn_deploy.card import Option
from fcn_deploy.errors import TrainingError
from fcn_deploy.system.serialization.decode import decode, parse_json
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.vocabulary import BadImages, Device

# Beyond these nothing useful lies, and some numbers would overflow what is computed from them.
COUNTS = {
    "epochs": (1, 10**6), "batch": (1, 10**6), "eval_every": (1, 10**6), "workers": (0, 256), "warmup": (0, 10**9),
    "seed": (0, 2**63 - 1),
}  # fmt: skip
RATE = 1e38  # float32 holds no more
LARGEST_SCALE = 100  # of a training image: a crop then shows a few of its pixels
WINDOW_PIXELS = 1 << 27  # of a training image at once in memory: 403 MB of colours

# May differ between the start of a run and its continuation: none of them decides what is learned.
FREE = ("output", "device", "workers", "save_seconds")

# Options whose text on the command line is simply their value.
_PLAIN = (
    "labels", "split", "val_labels", "val_split", "ignore_index", "label_suffix", "init", "quantize",
    "epochs", "batch", "lr", "momentum", "weight_decay", "warmup", "poly_power", "clip_norm",
    "seed", "eval_every", "bad_images",
)  # fmt: skip


@dataclass(frozen=True)
class TrainConfig:
    """Hold what to train, on what, and how: the settings that `train` explains.

    Attributes:
        data, val: training and validation sources, as `data.dataset.open_dataset` takes them; val may also be the
            share of the training set, such as "0.2", that the seed draws.
        output: folder of the run; it gets best, last and state.safetensors and log.jsonl.
        model, options: name and constructor options in the model registry.
        quantize: a quantization recipe: the network computes as its INT8 file will, which the run writes at its end.
        scale: the crop at the smallest factor, the window of the image that it is cut from, has at most WINDOW_PIXELS.
    """

    data: str
    val: str
    output: Path
    labels: str | None = None
    val_labels: str | None = None
    classes: tuple[str, ...] | None = None
    ignore_index: int | None = None
    label_values: tuple[int, ...] | None = None
    reduce_zero_label: bool = False
    label_suffix: str | None = None
    class_map: str | None = None
    split: str = "train"
    val_split: str = "val"
    model: str = "fcn8s"
    options: Mapping[str, Option] = field(default_factory=dict)
    init: str | None = None
    quantize: str | None = None
    epochs: int = 60
    batch: int = 4
    crop: tuple[int, int] = (320, 320)
    scale: tuple[float, float] = (0.75, 1.5)
    flip: bool = True
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: int | None = None
    poly_power: float = 0.9
    clip_norm: float = 5.0
    seed: int = 0
    device: Device = "auto"
    amp: bool | None = None
    workers: int = 0
    eval_every: int = 1
    bad_images: BadImages = "stop"
    save_seconds: float = 60.0

    def __post_init__(self) -> None:
        _check_counts(self)
        _check_window(self)
        _check_rates(self)

    def to_json(self) -> str:
        return json.dumps(plain(self))

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """Read what `to_json` wrote; fields of a later version are ignored.

        Raises:
            TrainingError: not JSON, a missing field or a value out of range.
        """
        source = "the configuration of the run cannot be read"
        return decode(cls, parse_json(text, source, TrainingError), source, TrainingError)


def differences(saved: TrainConfig, asked: TrainConfig) -> list[str]:
    """Return one "option: saved, now asked" for each field that would make a continued run another run."""
    return [
        f"{name.replace('_', '-')} was {getattr(saved, name)}, now {getattr(asked, name)}"
        for name in (field.name for field in fields(TrainConfig))
        if name not in FREE and getattr(saved, name) != getattr(asked, name)
    ]


def _check_counts(config: TrainConfig) -> None:
    for name, (least, most) in COUNTS.items():
        value = getattr(config, name)
        if value is not None and not least <= value <= most:
            bound = f"least {least}" if value < least else f"most {most}"
            raise TrainingError(f"{name.replace('_', '-')} must be at {bound}, not {value}")


def _check_window(config: TrainConfig) -> None:
    (height, width), (low, high) = config.crop, config.scale
    if min(height, width) < 1:
        raise TrainingError(f"the crop must be at least 1x1, not {height}x{width}")
    if not 0 < low <= high <= LARGEST_SCALE:
        raise TrainingError(f"scale needs 0 < MIN <= MAX <= {LARGEST_SCALE}, not {low},{high}")
    if height * width > WINDOW_PIXELS * min(1.0, low * low):
        raise TrainingError(
            f"crop {height}x{width} at scale {low:g} needs more than {WINDOW_PIXELS} pixels; "
            "make the crop smaller or the smallest scale larger"
        )


def _check_rates(config: TrainConfig) -> None:
    if not 0 < config.lr <= RATE:
        raise TrainingError(f"lr must be above 0 and at most {RATE:g}, not {config.lr}")
    if not 0 <= config.momentum < 1:
        raise TrainingError(f"momentum must be at least 0 and below 1, not {config.momentum}")
    for name in ("weight_decay", "poly_power", "clip_norm", "save_seconds"):
        if not 0 <= getattr(config, name) <= RATE:
            raise TrainingError(f"{name.replace('_', '-')} must be from 0 to {RATE:g}, not {getattr(config, name)}")


def command_line(config: TrainConfig) -> str:
    """Return `fcn-deploy train` with every option that is not at its default; what changes no result is left out."""
    words = ["fcn-deploy", "train", "--data", config.data, "--val", config.val, "--model", config.model]
    own = {} if config.quantize is not None else config.options  # those of --init
    for name, option in own.items():
        words += ["--fixed-upsampling"] if name == "learned" else [f"--{name}", str(option)]
    for name in _PLAIN:
        if (value := getattr(config, name)) != getattr(TrainConfig, name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += _shaped(config)
    return shlex.join([*words, "-o", str(config.output)])


def _shaped(config: TrainConfig) -> list[str]:
    """Return the options whose text is not simply their value."""
    words = []
    if config.classes is not None:
        words += ["--classes", ",".join(config.classes)]
    if config.label_values is not None:
        words += ["--label-values", ",".join(map(str, config.label_values))]
    if config.class_map is not None:
        words += ["--map", config.class_map]
    if config.reduce_zero_label:
        words += ["--reduce-zero-label"]
    if config.crop != TrainConfig.crop:
        words += ["--crop", f"{config.crop[0]}x{config.crop[1]}"]
    if config.scale != TrainConfig.scale:
        words += ["--scale", f"{config.scale[0]},{config.scale[1]}"]
    if not config.flip:
        words += ["--no-flip"]
    if config.amp is not None:
        words += ["--amp" if config.amp else "--no-amp"]
    return words
