"""Confusion matrix: ours against torchmetrics, one thread each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import ratio
from benchmarks.suite import Measured
from fcn_deploy.metrics.scores import confusion_matrix
from fcn_deploy.system.optional import require
from fcn_deploy.vocabulary import parse_size


def label_pair(height: int, width: int, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """uint8[H, W] truth in blocks of 20 pixels with 2 % unlabelled, and a prediction that differs in 10 %."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, classes, (height // 20 + 1, width // 20 + 1)).astype(np.uint8)
    target = np.ascontiguousarray(np.kron(blocks, np.ones((20, 20), np.uint8))[:height, :width])
    wrong = rng.random(target.shape) < 0.1
    pred = np.where(wrong, rng.integers(0, classes, target.shape), target).astype(np.uint8)
    target[rng.random(target.shape) < 0.02] = 255
    return target, pred


def measure(sizes: Sequence[str], classes: Sequence[int], rounds: int) -> Measured:
    """Return a row for each size ("HxW") and number of classes."""
    torch.set_num_threads(1)  # as many as ours uses
    shapes = [parse_size(size) for size in sizes]
    return [compare(height, width, count, rounds) for height, width in shapes for count in classes], {
        "warm_ups": ratio.WARM_UPS
    }


def compare(height: int, width: int, classes: int, rounds: int) -> dict[str, Any]:
    """Time one size. torchmetrics gets int64 tensors, which it needs, ready made and untimed."""
    peer = require("torchmetrics.functional.classification").multiclass_confusion_matrix
    target, pred = label_pair(height, width, classes)
    target_tensor, pred_tensor = torch.from_numpy(target).long()[None], torch.from_numpy(pred).long()[None]

    def theirs(validate: bool) -> torch.Tensor:
        counts: torch.Tensor = peer(pred_tensor, target_tensor, classes, ignore_index=255, validate_args=validate)
        return counts

    ours = confusion_matrix(target, pred, classes)
    if not np.array_equal(ours, theirs(True).numpy()):
        raise SystemExit("the two confusion matrices differ; a time would mean nothing")
    cases = {
        "fcn_deploy (labels checked)": lambda: confusion_matrix(target, pred, classes),
        "torchmetrics, validate_args=False": lambda: theirs(False),
        "torchmetrics, validate_args=True (its default)": lambda: theirs(True),
    }
    return ratio.row(f"{height} x {width}, {classes} classes", ratio.time_ms(cases, rounds), next(iter(cases)))
