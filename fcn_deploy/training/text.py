"""Render a training run as lines."""

from __future__ import annotations

from fcn_deploy.system.formatting import count
from fcn_deploy.training.loop import TrainResult
from fcn_deploy.training.page import next_commands
from fcn_deploy.training.state import EpochRecord


def epoch_line(record: EpochRecord) -> str:
    """Return loss, scores where the epoch was validated (pixels: their accuracy), and time, in 80 columns."""
    scores = ""
    if record.mean_iou is not None:
        scores = f"  mIoU {_percent(record.mean_iou)}  boundary {_percent(record.boundary_mean_iou)}"
        scores += f"  pixels {_percent(record.pixel_accuracy)}"
    seconds = f"{record.seconds:.1f} s" if record.seconds < 100 else f"{record.seconds / 60:.1f} min"
    return f"epoch {record.epoch:4d}  loss {record.loss:.4f}{scores}  {seconds}"


def how_to_resume(result: TrainResult) -> str:
    """Return how far a stopped run came, and the command that continues it."""
    folder, position = result.config.output, result.position
    done = f"{len(position.history)} of {result.config.epochs} epochs and {position.step} steps done"
    weights = f"{result.last} has the weights so far"
    return f"stopped: {done}; {weights}; go on with: fcn-deploy train --resume -o {folder}"


def render(result: TrainResult) -> str:
    """Return lines on the whole run, its best epoch and its last."""
    position = result.position
    end = position.history[-1]
    left_out = f", {result.left_out} images left out" if result.left_out else ""
    scores = f"boundary {_percent(end.boundary_mean_iou)}  pixel accuracy {_percent(end.pixel_accuracy)}"
    return "\n".join(
        [
            f"{count(len(position.history), 'epoch')}, {count(position.step, 'step')}, "
            f"{round(result.seconds, 1) / 60:.1f} min, loss {end.loss:.4f}{left_out}",
            f"best  mIoU {_percent(position.best_mean_iou)}  at epoch {position.best_epoch}  {result.best}",
            f"last  mIoU {_percent(end.mean_iou)}  {scores}  {result.last}",
            *([] if result.int8 is None else [f"int8  {result.int8}"]),
            *([] if result.page is None else [f"page  {result.page}"]),
            *(f"next  {line}" for line in next_commands(result.best)),
        ]
    )


def _percent(fraction: float | None) -> str:
    return "   none" if fraction is None else f"{fraction:6.1%}"
