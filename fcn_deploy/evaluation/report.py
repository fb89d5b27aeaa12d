"""Types of what `evaluate` found: the accuracy of one file, or of several next to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.boundary_iou import BoundaryIou
from fcn_deploy.metrics.scores import Scores
from fcn_deploy.system.serialization.plain import plain

SCHEMA = 1


@dataclass(frozen=True)
class AccuracyReport:
    """Hold the accuracy of a model on a data set.

    Attributes:
        model, sha256: name and digest of the model's file.
        runner, data: what ran it, and on which data set.
        classes: class names, index = label.
        images, left_out: images scored, and images that could not be read.
        radius: half width of the boundary band in pixels.
        overall, boundary, interior: scores over all pixels, those near a label change of the ground truth, and the
            others. IoUs and accuracies are fractions 0..1, nan where there was nothing to score.
        boundary_iou: Boundary IoU of Cheng et al., whose regions are not the band of `boundary`.
        confusion: pixels by class, row = true class, column = predicted class.
    """

    model: str
    sha256: str
    runner: str
    data: str
    classes: tuple[str, ...]
    images: int
    left_out: int
    radius: int
    overall: Scores
    boundary: Scores
    interior: Scores
    boundary_iou: BoundaryIou
    confusion: tuple[tuple[int, ...], ...]

    def to_plain(self) -> dict[str, Any]:
        """Return the report as JSON holds it: fractions 0..1, None where there was nothing to score."""
        return {"schema": SCHEMA, "kind": "accuracy", **plain(self)}


@dataclass(frozen=True)
class ComparedAccuracy:
    """One of several files.

    Attributes:
        model: its name; `report`: its accuracy, None where it cannot run here, and `reason` says why.
        change: points of mIoU more than the reference's, with a 95 % interval over the images; None of the reference.
        agreed, pixels: how many pixels have the reference's label, of how many; 0 of the reference.
    """

    model: str
    report: AccuracyReport | None = None
    reason: str = ""
    change: Interval | None = None
    agreed: int = 0
    pixels: int = 0


@dataclass(frozen=True)
class AccuracyComparison:
    """Hold the accuracy of several files; the first is the reference."""

    files: tuple[ComparedAccuracy, ...]

    def to_plain(self) -> dict[str, Any]:
        """Return the comparison as JSON holds it."""
        return {"schema": SCHEMA, "kind": "accuracies", **plain(self)}
