"""Return the accuracy of a model as plain data."""

from __future__ import annotations

from typing import Any

from fcn_deploy.evaluation.evaluate import AccuracyReport
from fcn_deploy.system.plain import plain

SCHEMA = 1


def to_plain(report: AccuracyReport) -> dict[str, Any]:
    """Return the report as JSON holds it: fractions 0..1, None where there was nothing to score."""
    return {"schema": SCHEMA, "kind": "accuracy", **plain(report)}
