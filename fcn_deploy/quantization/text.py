"""Render what quantization did: the search, the calibration images, the layers in each precision, the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType

from fcn_deploy.data.digests import Overlap
from fcn_deploy.quantization.calibration.collect import CacheUse
from fcn_deploy.quantization.report import QuantizeReport
from fcn_deploy.quantization.rewrites.fp8 import OPSET as FP8_OPSET
from fcn_deploy.quantization.rewrites.half_type import BEHIND_SCORES, BF16
from fcn_deploy.quantization.rewrites.qdq import FP8
from fcn_deploy.quantization.search.text import render as render_search
from fcn_deploy.system.formatting import count, some

NOT_EQUALIZED = (
    "no channels equalised: of each tensor they are about equally large, or another node than a convolution reads it "
    "too (a sum, a concatenation, an output)"
)
NAMES_SHOWN = 3
TENSORS_SHOWN = 5


def render(report: QuantizeReport) -> list[RenderableType]:
    """Return the search, where there was one, then lines on the images, the layers and the file."""
    found: list[RenderableType] = [] if report.search is None else render_search(report.search)
    return [*found, *calibration_lines(report), *_quantised_lines(report), *_half_lines(report), *_file_lines(report)]


def calibration_lines(report: QuantizeReport) -> list[str]:
    """Return lines on images, classes, repeats, frames of the validation set, and the use of the cache."""
    if report.coverage is None:
        unchecked = "labels were" if report.precision == "bf16" else "overflow of activations and labels were"
        return [f"no calibration images (--calib): {unchecked} not checked"]
    line = f"{'given' if report.precision == 'bf16' else 'calibrated with'} {count(report.images, 'image')}"
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


def _quantised_lines(report: QuantizeReport) -> list[str]:
    if not report.ranges:
        return []
    lines = _fp8_lines(report) if report.precision.startswith("fp8") else _int8_lines(report)
    kept = ", ".join(f"{name} ({reason})" for name, reason in report.kept_in_float.items())
    return [*lines, f"kept in float: {kept or 'no convolution'}"]


def _int8_lines(report: QuantizeReport) -> list[str]:
    lines = [
        *_channel_lines(report),
        f"INT8 for {report.target}, ranges by {report.method}; the {TENSORS_SHOWN} tensors clipped most:",
    ]
    for name in sorted(report.clipped, key=lambda name: -report.clipped[name])[:TENSORS_SHOWN]:
        low, high = report.ranges[name]
        lines.append(f"  {name:32} {low:10.4g} to {high:10.4g}   {report.clipped[name]:8.3%} of its values clipped")
    return lines


def _fp8_lines(report: QuantizeReport) -> list[str]:
    tops = {name: max(-low, high) for name, (low, high) in report.ranges.items()}
    name = max(tops, key=tops.__getitem__)
    return [
        f"FP8 (E4M3, opset {FP8_OPSET}): {count(len(tops), 'tensor')}, each with its largest value at "
        f"{FP8.largest:g}; largest of all {tops[name]:.4g} at {name}",
        "for GPUs of compute capability 8.9 and later, with TensorRT 10 or later or TensorRT for RTX",
    ]


def _channel_lines(report: QuantizeReport) -> list[str]:
    lines = []
    if report.equalized:
        layers = some([f"{each.name} ({each.spread:g})" for each in report.equalized], NAMES_SHOWN)
        lines.append(f"channels equalised, by factors that span: {layers}; in FP32 nothing changes")
    elif report.asked_to_equalize:
        lines.append(NOT_EQUALIZED)
    if report.bias_changes:
        name, largest = max(report.bias_changes.items(), key=lambda item: item[1])
        lines.append(f"biases of {count(len(report.bias_changes), 'layer')} corrected, most {name} (by {largest:.3g})")
    return lines


def _half_lines(report: QuantizeReport) -> list[str]:
    half = report.half
    if half is None:
        return []
    word = half.type.name.upper()
    lines = [f"{word}: {len(half.converted)} nodes" + (f", opset {half.type.opset}" if half.type is BF16 else "")]
    if half.kept:
        shown = {name: reason for name, reason in half.kept.items() if reason != BEHIND_SCORES}
        behind = ", and what follows" if len(shown) < len(half.kept) else ""
        lines.append("kept in FP32: " + ", ".join(f"{name} ({reason})" for name, reason in shown.items()) + behind)
    if half.vanished:
        worst, share = max(half.vanished.items(), key=lambda item: item[1])
        lines.append(
            f"{len(half.vanished)} weights lose elements too small for {word}, most {worst} ({share:.2g} of it)"
        )
    if report.largest_activation is not None:
        name, value = report.largest_activation
        lines.append(f"largest activation {value:.4g} at {name}; FP16 ends at 65504")
    return lines


def _file_lines(report: QuantizeReport) -> list[str]:
    lines = []
    if report.agreement is not None:
        share = report.agreement
        lines.append(f"labels as in FP32 at {share.fraction:.3%} of {share.pixels} pixels (calibration images)")
    sizes = f"{report.bytes_after / 1e6:.1f} MB (was {report.bytes_before / 1e6:.1f})"
    return [*lines, f"wrote {report.path}, {sizes}, in {report.seconds:.1f} s"]


def _few_colours(names: Sequence[str], images: int) -> list[str]:
    if not names:
        return []
    verb = "has" if len(names) == 1 else "have"
    examples = some([Path(name).name for name in names], NAMES_SHOWN)
    return [f"{len(names)} of the {images} {verb} as few colours as a label map; is this a photograph? {examples}"]


def _repeats(groups: Sequence[Sequence[str]], images: int) -> list[str]:
    if not groups:
        return []
    more = sum(len(group) - 1 for group in groups)
    verb = "repeats" if more == 1 else "repeat"
    alike = some([" = ".join(Path(name).name for name in group[:NAMES_SHOWN]) for group in groups], NAMES_SHOWN)
    return [f"{more} of the {images} calibration images {verb} another one, pixel for pixel: {alike}"]


def _overlap(found: Overlap | None) -> list[str]:
    if found is None:
        return []
    verb = "is" if len(found.shared) == 1 else "are"
    images = count(found.calibration, "calibration image")
    line = f"{len(found.shared)} of the {images} {verb} also in the validation set"
    if not found.shared:
        return [line]
    return [f"{line}, whose score they flatter: {some([Path(name).name for name, _ in found.shared], NAMES_SHOWN)}"]


def _cache(use: CacheUse | None) -> list[str]:
    if use is None:
        return []
    if use.measured == 0 and not use.reason:
        return [f"measurements taken from {use.path}; the images were not run for them"]
    return [f"{count(use.measured, 'tensor')} measured, {use.taken} taken from {use.path}"]
