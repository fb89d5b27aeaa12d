"""All that a run needs to go on as if it had never stopped: one safetensors file, tensors and JSON, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fcn_deploy.errors import TrainingError
from fcn_deploy.system.files import atomic_path, require_plain
from fcn_deploy.system.serialization.decode import decode, parse_json
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.training.config import TrainConfig

STATE_FILE = "state.safetensors"
STATE_KEY = "fcn_deploy.training"
_MODEL, _MOMENTUM = "model.", "momentum."


@dataclass(frozen=True)
class EpochRecord:
    """One line of log.jsonl.

    Attributes:
        epoch: from 1.
        step: steps done at its end.
        loss: mean cross entropy over the epoch's labelled pixels, in nats.
        lr: learning rate of its last step.
        mean_iou, pixel_accuracy, boundary_mean_iou: fractions on the validation set; None if it was not validated,
            the last also if no label of the set borders on another.
        seconds: time spent on it, validation included.
        left_out: training and validation images that could not be used.
        per_class_iou: fractions on the validation set; None of a class that is neither in its labels nor predicted.
    """

    epoch: int
    step: int
    loss: float
    lr: float
    mean_iou: float | None
    pixel_accuracy: float | None
    boundary_mean_iou: float | None
    seconds: float
    left_out: int = 0  # has a value of its own for the states written before it was counted
    per_class_iou: tuple[float | None, ...] | None = None  # likewise


@dataclass
class Position:
    """How far a run is, next to its weights and momentum.

    Attributes:
        step: steps done.
        loss_sum, pixels: loss summed over the labelled pixels of the current epoch so far, and their number.
        seconds, left_out: time spent on the current epoch so far, and images that could not be used in it.
        best_mean_iou, best_epoch: of the best validation so far; None and 0 before the first.
        history: the epochs done.
        scaler: state of the loss scaling for float16; empty where there is none.
    """

    step: int = 0
    loss_sum: float = 0.0
    pixels: int = 0
    seconds: float = 0.0
    best_mean_iou: float | None = None
    best_epoch: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    scaler: dict[str, int | float] = field(default_factory=dict)
    left_out: int = 0


@dataclass(frozen=True)
class SavedState:
    """What a state file's text says: how far, of which run, on which data."""

    position: Position
    config: TrainConfig
    fingerprint: str


def write_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, saved: SavedState) -> None:
    """Write the state of a run, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    names = _names(model)
    tensors = {_MODEL + name: _plain(value) for name, value in model.state_dict().items()}
    for parameter, values in optimizer.state.items():
        if values.get("momentum_buffer") is not None:
            tensors[_MOMENTUM + names[parameter]] = _plain(values["momentum_buffer"])
    text = json.dumps(plain(saved) | {"config": saved.config.to_json()})
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {STATE_KEY: text})


def read_saved_state(path: Path) -> SavedState:
    """Read the text of a state file.

    Raises:
        TrainingError: it cannot be read, or is no state of a run.
    """
    try:
        with safe_open(require_plain(path), framework="pt") as archive:
            text = (archive.metadata() or {})[STATE_KEY]
        raw = parse_json(text, "its text", TrainingError)
        config = TrainConfig.from_json(raw["config"])  # JSON within JSON
        return decode(SavedState, raw, "its text", TrainingError, given={"config": config})
    except (OSError, SafetensorError, KeyError, TypeError, TrainingError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrainingError(f"{path} is not the state of a run ({reason}); --restart starts over") from error


def read_tensors(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Fill `model` and the momentum of `optimizer`, in the memory layout that they have.

    Raises:
        TrainingError: the file does not hold the tensors of this model.
    """
    try:
        with safe_open(path, framework="pt") as archive:
            held = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        model.load_state_dict({name[len(_MODEL) :]: held[name] for name in held if name.startswith(_MODEL)})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise TrainingError(f"{path} does not hold this model's state; --restart starts over") from error
    for parameter, name in _names(model).items():
        if _MOMENTUM + name in held:
            buffer = torch.empty_like(parameter, requires_grad=False).copy_(held[_MOMENTUM + name])
            optimizer.state[parameter]["momentum_buffer"] = buffer


def _names(model: nn.Module) -> Mapping[Tensor, str]:
    return {parameter: name for name, parameter in model.named_parameters()}


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()
