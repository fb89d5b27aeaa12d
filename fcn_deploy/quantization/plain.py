"""Return what quantization did as plain data."""

from __future__ import annotations

from typing import Any

from fcn_deploy.quantization.report import QuantizeReport
from fcn_deploy.quantization.search.plain import to_plain as search_to_plain
from fcn_deploy.system.plain import plain


def to_plain(report: QuantizeReport) -> dict[str, Any]:
    """Return the report as JSON holds it; shares are fractions 0..1, `agreed` is [pixels that agree, pixels]."""
    half = report.half
    tensors = {
        name: {"low": low, "high": high, "clipped": report.clipped[name]} for name, (low, high) in report.ranges.items()
    }
    return {
        "schema": 1,
        "kind": "quantization",
        "path": str(report.path),
        "source": str(report.source),
        "precision": report.precision,
        "target": report.target,
        "method": report.method,
        **calibration_plain(report),
        "tensors": plain(tensors),
        "kept_from_int8": dict(report.kept_from_int8),
        "kept_from_fp16": {} if half is None else dict(half.kept),
        "fp16_nodes": [] if half is None else list(half.converted),
        "weights_vanishing": {} if half is None else plain(half.vanished),
        "weights_overflowing": [] if half is None else list(half.overflowing),
        "largest_activation": plain(report.largest_activation),
        "agreed": None if report.agreement is None else [report.agreement.agreed, report.agreement.pixels],
        "search": None if report.search is None else search_to_plain(report.search),
        "bytes_before": report.bytes_before,
        "bytes_after": report.bytes_after,
        "seconds": report.seconds,
    }


def calibration_plain(report: QuantizeReport) -> dict[str, Any]:
    """Return what the calibration images held, every name in full."""
    coverage, shared, cache = report.coverage, report.overlap, report.cache
    return {
        "images": [] if coverage is None else coverage.names,
        "repeated_images": [] if coverage is None else [list(group) for group in coverage.frames.repeated],
        "images_of_few_colours": [] if coverage is None else coverage.few_colours,
        "validation_overlap": None
        if shared is None
        else {"validation_images": shared.validation, "shared": [list(pair) for pair in shared.shared]},
        "classes": [] if coverage is None else list(coverage.classes),
        "class_pixels": None if coverage is None or coverage.pixels is None else coverage.pixels.tolist(),
        "calibration_cache": None
        if cache is None
        else {"path": str(cache.path), "taken": cache.taken, "measured": cache.measured, "reason": cache.reason},
    }
