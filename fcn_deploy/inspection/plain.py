"""Return what a file holds as plain data."""

from __future__ import annotations

from typing import Any

from fcn_deploy.audit.plain import to_plain as audit_to_plain
from fcn_deploy.inspection.inspect import Inspection
from fcn_deploy.inspection.onnx import OnnxFile
from fcn_deploy.system.plain import plain


def to_plain(inspection: Inspection) -> dict[str, Any]:
    """Return everything that was found as JSON holds it; an engine's sidecar as its file has it."""
    found, result = inspection.found, plain(inspection)
    if isinstance(found, OnnxFile) and found.audit is not None:
        result["found"]["audit"] = audit_to_plain(found.audit)
    return {**result, "faults": list(inspection.faults)}
