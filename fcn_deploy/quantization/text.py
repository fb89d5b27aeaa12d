"""What a calibration saw, as lines and for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fcn_deploy.data.digests import Overlap
from fcn_deploy.quantization.calibration.observe import CacheUse
from fcn_deploy.quantization.quantize import QuantizeReport
from fcn_deploy.system.formatting import count

NAMES_SHOWN = 3


def calibration_lines(report: QuantizeReport) -> list[str]:
    """Images, classes, repeats, frames of the validation set, and what the cache was good for."""
    if report.coverage is None:
        return ["no calibration images (--calib): overflow of activations and labels were not checked"]
    line = f"calibrated with {count(report.images, 'image')}"
    if report.coverage.pixels is not None:
        missing, total = report.coverage.missing, len(report.coverage.classes)
        line += f" that show {total - len(missing)} of {total} classes"
        line += f" (without: {', '.join(missing)})" if missing else ""
    return [
        line,
        *_few_colours(report.coverage.few_colours, report.images),
        *_repeats(report.coverage.frames.repeated, report.images),
        *_overlap(report.overlap),
        *_cache(report.cache),
    ]


def calibration_plain(report: QuantizeReport) -> dict[str, Any]:
    """The same for JSON, every name in full."""
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


def _few_colours(names: Sequence[str], images: int) -> list[str]:
    if not names:
        return []
    verb = "has" if len(names) == 1 else "have"
    examples = _some([Path(name).name for name in names])
    return [f"{len(names)} of the {images} {verb} as few colours as a label map; is this a photograph? {examples}"]


def _repeats(groups: Sequence[Sequence[str]], images: int) -> list[str]:
    if not groups:
        return []
    more = sum(len(group) - 1 for group in groups)
    verb = "repeats" if more == 1 else "repeat"
    examples = _some([" = ".join(Path(name).name for name in group[:NAMES_SHOWN]) for group in groups])
    return [f"{more} of the {images} calibration images {verb} another one, pixel for pixel: {examples}"]


def _overlap(found: Overlap | None) -> list[str]:
    if found is None:
        return []
    verb = "stands" if len(found.shared) == 1 else "stand"
    images = count(found.calibration, "calibration image")
    line = f"{len(found.shared)} of the {images} also {verb} in the validation set"
    if not found.shared:
        return [line]
    return [f"{line}, whose score they flatter: {_some([Path(name).name for name, _ in found.shared])}"]


def _cache(use: CacheUse | None) -> list[str]:
    if use is None:
        return []
    if use.measured == 0:
        return [f"measurements taken from {use.path}; the images were not run for them"]
    return [f"{count(use.measured, 'tensor')} measured, {use.taken} taken from {use.path}"]


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
