"""Return how a training run ended as plain data."""

from __future__ import annotations

from typing import Any

from fcn_deploy.training.loop import TrainResult


def to_plain(result: TrainResult) -> dict[str, Any]:
    """Return the last and the best epoch as JSON holds them; mIoUs and accuracies are fractions 0..1."""
    position = result.position
    last = position.history[-1]
    return {
        "epochs": len(position.history),
        "steps": position.step,
        "seconds": round(result.seconds, 1),
        "left_out": result.left_out,
        "loss": last.loss,
        "mean_iou": last.mean_iou,
        "pixel_accuracy": last.pixel_accuracy,
        "boundary_mean_iou": last.boundary_mean_iou,
        "best_mean_iou": position.best_mean_iou,
        "best_epoch": position.best_epoch,
        "best": str(result.best),
        "last": str(result.last),
    }
