"""A diagnosis as plain data for JSON; what is not a number becomes None."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from fcn_deploy.diagnosis.result import Change, Diagnosis, Step
from fcn_deploy.diagnosis.text import verdict

SCHEMA = 1


def to_plain(found: Diagnosis) -> dict[str, Any]:
    """Everything that was found; IoUs and shares are fractions, pixels are counts."""
    first = found.first_divergence
    guilty = first.guilty if first is not None else ()
    return {
        "schema": SCHEMA,
        "kind": "diagnosis",
        "data": found.data,
        "images": found.images,
        "labelled": found.labelled,
        "layer_images": found.layer_images,
        "radius": found.radius,
        "classes": list(found.classes),
        "tolerances": {name: asdict(limits) for name, limits in found.tolerances.items()},
        "steps": [_step(step) for step in found.steps],
        "first_step": None if first is None else first.name,
        "first_layer": guilty[0].name if guilty else None,
        "causes": list(guilty[0].causes) if guilty else [],
        "verdict": verdict(found),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "kind": step.kind,
        "claim": step.claim,
        "status": step.status,
        "reason": step.reason,
        "mean_iou": _finite(step.mean_iou),
        "diverges": bool(step.reasons),
        "reasons": list(step.reasons),
        "before": _change(step.before),
        "first": _change(step.first),
        "layers_against": step.layers_against,
        "no_layers": step.no_layers,
        "layers": [_finite(asdict(layer) | {"sqnr_db": layer.sqnr_db}) for layer in step.layers],
    }


def _change(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {
        "against": change.against,
        "agreed": [change.agreement.agreed, change.agreement.pixels],
        "boundary_agreed": [change.boundary.agreed, change.boundary.pixels],
        "iou": None if change.iou is None else _finite(asdict(change.iou)),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
