"""Return a search for layers, or the plan of one, as plain data."""

from __future__ import annotations

from typing import Any

from fcn_deploy.quantization.search.dry_run import SearchPlan
from fcn_deploy.quantization.search.result import SearchReport
from fcn_deploy.system.plain import plain


def plan_to_plain(plan: SearchPlan) -> dict[str, Any]:
    """Return the plan as JSON holds it; times in seconds, sizes in bytes."""
    return {**plain(plan), "most_seconds": plan.most_seconds}


def to_plain(report: SearchReport) -> dict[str, Any]:
    """Return what the search found as JSON holds it; mIoUs and drops in points."""
    figures = {
        name: plain(getattr(report, name))
        for name in (
            "data", "left_out", "max_drop", "fp32", "int8", "found", "changed", "complete", "steps", "steps_before",
            "own_seconds", "own_cpu_seconds", "whole_cpu_seconds", "cached_bytes", "seconds",
        )
    }  # fmt: skip
    return figures | {
        "images": report.frames.names,
        "log": str(report.log),
        "kept": list(report.kept),
        "keep_float": list(report.recipe),
        "layers": plain(report.layers),
    }
