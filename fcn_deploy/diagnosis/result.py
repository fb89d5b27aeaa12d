"""Define what `diagnose` found: every stage compared with the one before it, and the first that diverges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fcn_deploy.diagnosis.layer_errors import LayerError
from fcn_deploy.diagnosis.stages import StageKind, StageStatus
from fcn_deploy.diagnosis.tolerances import Tolerances
from fcn_deploy.graph.nodes import CONTRACT_PREFIX
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.metrics.bootstrap import IouChange
from fcn_deploy.metrics.budget import Judgement
from fcn_deploy.system.formatting import count
from fcn_deploy.system.serialization.plain import plain

SCHEMA = 1


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

    def to_plain(self) -> dict[str, Any]:
        """Return pixels that agree and pixels, and IoUs as fractions."""
        return {
            "against": self.against,
            "agreed": [self.agreement.agreed, self.agreement.pixels],
            "boundary_agreed": [self.boundary.agreed, self.boundary.pixels],
            "iou": plain(self.iou),
        }


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
        judged: what became of each limit against the first, where limits are set.
        reasons: why it diverges, or with limits, which it breaks; empty if it does not.
        differences: with limits, how it differs beyond the tolerances; this breaks no limit.
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
    judged: tuple[Judgement, ...] = ()
    reasons: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def divergent_layers(self) -> tuple[LayerError, ...]:
        """Layers out of line, in the graph's order."""
        return tuple(layer for layer in self.layers if layer.out_of_line)

    def to_plain(self) -> dict[str, Any]:
        """Return the stage with its changes and layers as JSON holds them."""
        return {
            "name": self.name,
            "kind": self.kind,
            "claim": self.claim,
            "status": self.status,
            "reason": self.reason,
            "mean_iou": plain(self.mean_iou),
            "diverges": bool(self.reasons),
            "reasons": list(self.reasons),
            "judged": plain(self.judged),
            "differences": list(self.differences),
            "before": None if self.before is None else self.before.to_plain(),
            "first": None if self.first is None else self.first.to_plain(),
            "layers_against": self.layers_against,
            "no_layers": self.no_layers,
            "layers": [plain(layer) | {"sqnr_db": plain(layer.sqnr_db)} for layer in self.layers],
        }


@dataclass(frozen=True)
class Diagnosis:
    """All steps in order.

    Attributes:
        images, labelled, layer_images: how many were run, had a ground truth, and were run layer by layer.
        classes: names, index = label.
        limits: those that were set, as they are typed.
    """

    steps: tuple[StageComparison, ...]
    data: str
    images: int
    labelled: int
    layer_images: int
    radius: int
    classes: tuple[str, ...]
    tolerances: Tolerances
    limits: tuple[str, ...] = ()

    @property
    def first_divergence(self) -> StageComparison | None:
        """The first comparison that diverges, or with limits, breaks one; None if there is none."""
        return next((step for step in self.steps if step.reasons), None)

    @property
    def verdict(self) -> str:
        """Which step, which layer, why: one sentence."""
        step = self.first_divergence
        if step is None:
            return self._good
        said = f"first step that {'breaks a limit' if self.limits else 'diverges'}: {step.name}"
        if self.limits:
            said += f": {step.reasons[0]}"
        if step.divergent_layers:
            layer = step.divergent_layers[0]
            name = f"{layer.name} (the normalisation)" if layer.name.startswith(CONTRACT_PREFIX) else layer.name
            causes = "; ".join(layer.causes) or f"fed the same tensors it errs by {percent(layer.error)}"
            return f"{said}; first layer: {name}: {causes}"
        if self.limits:
            return said
        if step.layers:
            worst = max(step.layers, key=lambda layer: layer.error)
            alone = f"no layer alone is out of line; the largest error is {percent(worst.error)} at {worst.name}"
            return f"{said}: {'; '.join(step.reasons)}; {alone}"
        return f"{said}: {'; '.join([*step.reasons, step.no_layers])}"

    @property
    def _good(self) -> str:
        compared = [step for step in self.steps if step.before is not None]
        steps = count(len(compared), "step")
        if not self.limits:
            return f"no step diverges: {steps} within the tolerances"
        unknown = [step.name for step in compared if any(each.verdict == "not judged" for each in step.judged)]
        doubt = f"; not every limit was judged of {', '.join(unknown)} (see above)" if unknown else ""
        return f"no step breaks a limit: {steps} within {', '.join(self.limits)} of {self.steps[0].name}{doubt}"

    def to_plain(self) -> dict[str, Any]:
        """Return everything that was found: IoUs and shares are fractions, pixels are counts."""
        first = self.first_divergence
        divergent_layers = first.divergent_layers if first is not None else ()
        return {
            "schema": SCHEMA,
            "kind": "diagnosis",
            "data": self.data,
            "images": self.images,
            "labelled": self.labelled,
            "layer_images": self.layer_images,
            "radius": self.radius,
            "classes": list(self.classes),
            "tolerances": plain(self.tolerances),
            "limits": list(self.limits),
            "steps": [step.to_plain() for step in self.steps],
            "first_step": None if first is None else first.name,
            "first_layer": divergent_layers[0].name if divergent_layers else None,
            "causes": list(divergent_layers[0].causes) if divergent_layers else [],
            "verdict": self.verdict,
        }


def percent(fraction: float) -> str:
    """Render 0.0123 as "1.2 %"."""
    return f"{100 * fraction:.2g} %" if math.isfinite(fraction) else "infinitely much"
