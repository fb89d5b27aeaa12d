"""Return what a run of predict did as plain data."""

from __future__ import annotations

from typing import Any

from fcn_deploy.prediction.report import PredictReport
from fcn_deploy.system.plain import plain

SCHEMA = 1


def to_plain(report: PredictReport) -> dict[str, Any]:
    """Return counts, time and failures as JSON holds them."""
    return {"schema": SCHEMA, "kind": "predict", **plain(report), "images_per_s": report.images_per_s}
