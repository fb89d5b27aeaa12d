"""Return an engine that was built, or found to be up to date, as plain data."""

from __future__ import annotations

import json
from typing import Any

from fcn_deploy.engine.builder.build import BuildReport


def to_plain(report: BuildReport) -> dict[str, Any]:
    """Return what was done and why, and the sidecar as its file has it."""
    return {
        "path": str(report.path),
        "built": report.built,
        "reasons": list(report.reasons),
        **json.loads(report.sidecar.to_json()),
    }
