"""Accuracy on the validation set, images at their full size, one at a time because their sizes differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from fcn_deploy.contract import Contract
from fcn_deploy.data.dataset import Dataset, iterate
from fcn_deploy.errors import DataError
from fcn_deploy.metrics.boundary import Evaluation
from fcn_deploy.metrics.scores import scores
from fcn_deploy.system.progress import SILENT, Progress


@dataclass(frozen=True)
class Validation:
    """Fractions on a validation set; the boundary is what `metrics.boundary` calls so. None where there is none.

    Attributes:
        left_out: images that could not be used.
        per_class_iou: None of a class that is neither in the labels nor predicted.
    """

    mean_iou: float | None = None
    pixel_accuracy: float | None = None
    boundary_mean_iou: float | None = None
    left_out: int = 0
    per_class_iou: tuple[float | None, ...] | None = None


def validate(
    contract: Contract,
    dataset: Dataset,
    ignore_index: int,
    *,
    skip_bad: bool = False,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress = SILENT,
) -> Validation | None:
    """Score `contract` on `dataset` in float32, as `fcn-deploy evaluate` does.

    Returns:
        None if `stop` answered true before the end.

    Raises:
        DataError: an image or label cannot be used (it is left out if `skip_bad`), or no pixel is labelled.
    """
    device = next(contract.parameters()).device
    evaluation = Evaluation(len(dataset.classes), ignore_index)
    was_training = contract.training
    contract.eval()
    with torch.inference_mode(), progress.task("validation", len(dataset)) as task:
        for sample in iterate(dataset, on_error="skip" if skip_bad else "raise", progress=progress):
            if stop():
                break
            labels = contract(torch.from_numpy(sample.image)[None].to(device)).cpu().numpy()
            if sample.label is None:
                raise DataError(f"{sample.name} has no labels; validation needs a label for every image")
            evaluation.update(sample.label[None], labels)
            task.advance()
    contract.train(was_training)
    return None if stop() else _summary(evaluation, dataset)


def _summary(evaluation: Evaluation, dataset: Dataset) -> Validation:
    if not evaluation.overall.any():
        raise DataError(f"{dataset.name} has no labelled pixel; mIoU needs some")
    overall = scores(evaluation.overall)
    boundary = scores(evaluation.boundary).mean_iou if evaluation.boundary.any() else None
    ious = tuple(None if math.isnan(iou) else float(iou) for iou in overall.per_class_iou)
    return Validation(overall.mean_iou, overall.pixel_accuracy, boundary, len(dataset) - evaluation.images, ious)
