"""Return an export and its proof as plain data."""

from __future__ import annotations

from typing import Any

from fcn_deploy.onnx_export.export import ExportReport
from fcn_deploy.system.plain import plain


def to_plain(report: ExportReport) -> dict[str, Any]:
    """Return the report as JSON holds it, the model card as the file holds it."""
    fields: dict[str, Any] = plain(report)
    return fields | {"card": plain(report.card)}
