"""Return a diagnosis as plain data."""

from __future__ import annotations

from typing import Any

from fcn_deploy.diagnosis.result import Change, Diagnosis, StageComparison
from fcn_deploy.diagnosis.text import verdict
from fcn_deploy.system.plain import plain

SCHEMA = 1


def to_plain(found: Diagnosis) -> dict[str, Any]:
    """Return everything that was found: IoUs and shares are fractions, pixels are counts."""
    first = found.first_divergence
    divergent_layers = first.divergent_layers if first is not None else ()
    return {
        "schema": SCHEMA,
        "kind": "diagnosis",
        "data": found.data,
        "images": found.images,
        "labelled": found.labelled,
        "layer_images": found.layer_images,
        "radius": found.radius,
        "classes": list(found.classes),
        "tolerances": plain(found.tolerances),
        "steps": [_step(step) for step in found.steps],
        "first_step": None if first is None else first.name,
        "first_layer": divergent_layers[0].name if divergent_layers else None,
        "causes": list(divergent_layers[0].causes) if divergent_layers else [],
        "verdict": verdict(found),
    }


def _step(step: StageComparison) -> dict[str, Any]:
    return {
        "name": step.name,
        "kind": step.kind,
        "claim": step.claim,
        "status": step.status,
        "reason": step.reason,
        "mean_iou": plain(step.mean_iou),
        "diverges": bool(step.reasons),
        "reasons": list(step.reasons),
        "before": _change(step.before),
        "first": _change(step.first),
        "layers_against": step.layers_against,
        "no_layers": step.no_layers,
        "layers": [plain(layer) | {"sqnr_db": plain(layer.sqnr_db)} for layer in step.layers],
    }


def _change(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {
        "against": change.against,
        "agreed": [change.agreement.agreed, change.agreement.pixels],
        "boundary_agreed": [change.boundary.agreed, change.boundary.pixels],
        "iou": plain(change.iou),
    }
