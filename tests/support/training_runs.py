"""Runs at the smallest size, for the tests of training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fcn_deploy.training import run as run_module
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.loading import Batch
from fcn_deploy.training.loop import run_training
from fcn_deploy.training.step import Stepper


@contextlib.contextmanager
def tiny_runs(folder: Path) -> Iterator[TrainConfig]:
    """A run of five scenes, two steps an epoch (of three and two images), three epochs, saved at every step.

    On one thread: sums are in the same order every time, and networks this small do not fight over the cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "_SAVING_SHARE", 0)
        yield TrainConfig(
            "synthetic:5:0:33x47", "synthetic:2:1:37x41", folder, options={"width": 0.02}, epochs=3, batch=3,
            crop=(32, 48), seed=7, save_seconds=0.0, device="cpu",
        )  # fmt: skip
    torch.set_num_threads(threads)


def killed_at(number: int, config: TrainConfig) -> None:
    """Begin the run of `config` and end it, as a kill would, before the step of that number (0-based)."""
    step = Stepper.step

    def stepping(self: Stepper, batch: Batch, at: int, lr: float) -> tuple[float, int]:
        if at == number:
            raise KeyboardInterrupt
        return step(self, batch, at, lr)

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(Stepper, "step", stepping)
        run_training(config)


def same_tensors(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
