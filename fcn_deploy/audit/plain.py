"""Return an audit as plain data."""

from __future__ import annotations

from typing import Any

from fcn_deploy.audit.audit import Audit
from fcn_deploy.system.plain import plain


def to_plain(audit: Audit) -> dict[str, Any]:
    """Return every node and finding as JSON holds them; `macs` are multiply-adds."""
    return {
        "path": str(audit.path),
        "size": plain(audit.size),
        "macs": audit.macs,
        "totals": plain(audit.totals),
        "rejected": audit.rejected,
        "rows": plain(audit.rows),
        "findings": plain(audit.findings),
    }
