"""`train`: a run begun, resumed or restarted in its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fcn_deploy.errors import TrainingError
from fcn_deploy.system.files import check_writable, remove_temporary, written_as
from fcn_deploy.system.interrupt import StopRequest
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.training.config import TrainConfig, differences
from fcn_deploy.training.device import choose
from fcn_deploy.training.run import BEST, LAST, LOG, Run
from fcn_deploy.training.setup import new_model, open_material
from fcn_deploy.training.state import STATE_FILE, EpochRecord, Position, Saved, read_saved
from fcn_deploy.training.step import Stepper

Start = Literal["new", "resume", "restart"]
FILES = (STATE_FILE, LOG, BEST, LAST)


@dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Attributes:
        stopped_by: number of the signal that stopped it early; None if it is finished.
        resumed: whether it went on from a saved state.
    """

    config: TrainConfig
    position: Position
    stopped_by: int | None
    resumed: bool

    @property
    def best(self) -> Path:
        return self.config.output / BEST

    @property
    def last(self) -> Path:
        return self.config.output / LAST


def train(
    config: TrainConfig,
    *,
    start: Start = "new",
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    progress: Progress = SILENT,
) -> TrainResult:
    """Train a model and leave best, last and state.safetensors and log.jsonl in `config.output`.

    The same configuration gives the same weights, bit for bit on a CPU with the same number of threads, whether
    the run was stopped and resumed or not, and with any number of workers.

    Args:
        start: "new" refuses a folder that holds a run, "resume" goes on with it (or starts, if there is none),
            "restart" throws it away.
        on_epoch: called with the record of each epoch done.

    Raises:
        TrainingError: the folder holds another run, the device is not there, or the loss is no longer finite.
        DataError, CheckpointError, OutputError and the rest of the tree: from what it reads and writes.
    """
    precision = choose(config.device, config.amp)
    saved = _saved_run(config, start)
    _sweep(config.output)
    if saved is not None and len(saved.position.history) == config.epochs:
        return TrainResult(config, saved.position, None, True)
    material = open_material(config, progress)
    if saved is not None and saved.fingerprint != material.fingerprint:
        raise TrainingError(f"the data have changed since {config.output} was begun; --restart starts over")
    stepper = Stepper(new_model(_resumed(config, saved), material.card, progress), material.card, config, precision)
    check_writable(config.output / STATE_FILE)  # after all else that can fail, so that a mistake leaves no folder
    run = Run(config, material, stepper, on_epoch, progress)
    if saved is not None:
        run.restore(saved)
    elif start == "restart":
        _remove_run(config.output)
    progress.say(f"training; {config.output / LOG} gets one line per epoch")
    with StopRequest() as stop:
        run.go(stop)
    finished = len(run.position.history) == config.epochs  # a signal during the last save stopped nothing
    return TrainResult(config, run.position, None if finished else stop.signal, saved is not None)


def _saved_run(config: TrainConfig, start: Start) -> Saved | None:
    path = config.output / STATE_FILE
    if start == "restart" or not path.exists():
        return None
    saved = read_saved(path)
    if start == "new":
        raise TrainingError(_holds_a_run(config.output, saved))
    if found := differences(saved.config, config):
        raise TrainingError(
            f"{config.output} holds another run ({'; '.join(found)}); use its options, another folder, or --restart"
        )
    return saved


def _holds_a_run(folder: Path, saved: Saved) -> str:
    done, epochs = len(saved.position.history), saved.config.epochs
    if done == epochs:
        best = saved.position.best_mean_iou
        score = f", best mIoU {best:.1%}" if best is not None else ""
        return f"{folder} holds a finished run ({epochs} epochs{score}); choose another folder, or --restart"
    return f"{folder} holds a run stopped after {done} of {epochs} epochs; --resume goes on, --restart starts over"


def _resumed(config: TrainConfig, saved: Saved | None) -> TrainConfig:
    """A resumed run takes its weights from its state, not again from where it once began."""
    return config if saved is None else replace(config, init=None)


def _remove_run(folder: Path) -> None:
    for name in FILES:
        (folder / name).unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what a killed run was writing: the temporary folders and files that `fcn_deploy.system.files` makes."""
    for path in folder.glob(".*.tmp"):
        if written_as(path.name) in FILES:
            remove_temporary(path)
