"""Define what `diagnose` found: every stage compared with the one before it, and the first that diverges."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_deploy.diagnosis.layer_errors import LayerError
from fcn_deploy.diagnosis.stages import StageKind, StageStatus
from fcn_deploy.diagnosis.tolerances import Tolerances
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.metrics.bootstrap import IouChange


@dataclass(frozen=True)
class Change:
    """A stage against an earlier one.

    Attributes:
        against: name of the earlier one.
        agreement, boundary: pixels with the same label; boundary: within the radius of a change of the earlier labels.
        iou: change of mean and per-class IoU; None without ground truth.
    """

    against: str
    agreement: PixelShare
    boundary: PixelShare
    iou: IouChange | None


@dataclass(frozen=True)
class StageComparison:
    """One stage and what it changed.

    Attributes:
        claim: "fp32", "fp16", "int8" or "unknown".
        mean_iou: fraction, None without ground truth.
        before, first: against the stage before it that ran and against the first; None of the first and of those
            that did not run.
        layers: in the graph's order; empty with the reason in `no_layers`.
        layers_against: the stage whose tensors the layers were fed.
        reasons: why it diverges; empty if it does not.
    """

    name: str
    kind: StageKind
    claim: str
    status: StageStatus
    reason: str = ""
    mean_iou: float | None = None
    before: Change | None = None
    first: Change | None = None
    layers: tuple[LayerError, ...] = ()
    layers_against: str | None = None
    no_layers: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def divergent_layers(self) -> tuple[LayerError, ...]:
        """Layers out of line, in the graph's order."""
        return tuple(layer for layer in self.layers if layer.out_of_line)


@dataclass(frozen=True)
class Diagnosis:
    """All steps in order.

    Attributes:
        images, labelled, layer_images: how many were run, had a ground truth, and were run layer by layer.
        classes: names, index = label.
    """

    steps: tuple[StageComparison, ...]
    data: str
    images: int
    labelled: int
    layer_images: int
    radius: int
    classes: tuple[str, ...]
    tolerances: Tolerances

    @property
    def first_divergence(self) -> StageComparison | None:
        """The first comparison that diverges; None if all agree."""
        return next((step for step in self.steps if step.reasons), None)
