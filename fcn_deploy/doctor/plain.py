"""Return an examination of a machine as plain data."""

from __future__ import annotations

from typing import Any

from fcn_deploy.doctor.examine import Examination
from fcn_deploy.system.plain import plain


def to_plain(examination: Examination) -> dict[str, Any]:
    """Return the findings and verdicts as JSON holds them."""
    return {**plain(examination), "broken": examination.broken}
