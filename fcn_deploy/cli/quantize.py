"""`fcn-deploy quantize`: an exported file rewritten to FP16 or INT8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from fcn_deploy.cli.console import progress
from fcn_deploy.cli.options.calibration import (
    CALIBRATION_IMAGES,
    cache_option,
    keep_option,
    method_option,
    percentile_option,
)
from fcn_deploy.cli.options.command import command as command_of
from fcn_deploy.cli.options.command import group, option
from fcn_deploy.cli.options.data import data_options
from fcn_deploy.cli.options.search import SEARCH_OPTIONS, search_options
from fcn_deploy.cli.output import check_json_path, emit, json_option, output_option, show
from fcn_deploy.vocabulary import QUANTIZED_PRECISIONS, TARGETS

if TYPE_CHECKING:
    from fcn_deploy.quantization.quantize import QuantizeOptions, QuantizeReport
    from fcn_deploy.quantization.search.result import SearchReport

SHOWN_TENSORS = 5


@command_of(
    examples=[
        "fcn-deploy quantize model.onnx --precision fp16 -o model.fp16.onnx",
        "fcn-deploy quantize model.onnx --precision int8 --calib photos --target cpu \\\n    -o model.int8.onnx",
        "fcn-deploy quantize model.onnx --precision int8 --calib train.txt \\\n"
        "    --data val.txt --max-miou-drop 0.3 -o model.int8.onnx",
    ]
)
@cloup.argument("model", type=click.Path(path_type=Path), help="FP32 .onnx file.")
@group(
    "Precision",
    option("--precision", type=click.Choice(QUANTIZED_PRECISIONS), required=True, help="Type to compute in."),
    option(
        "--target",
        type=click.Choice(TARGETS),
        default="tensorrt",
        help="Where the INT8 layers will run: TensorRT, or ONNX Runtime and OpenVINO on a CPU.",
    ),
    keep_option,
    option(
        "--quantize-first/--keep-first",
        "quantize_first",
        default=None,
        show_default="by --target",
        help="Quantise the first layer, or leave it in float.",
    ),
    option("--quantize-scores", is_flag=True, help="Quantise the 1x1 score layers as well."),
    option(
        "--recipe",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Also leave the layers of keep_float of this recipe (.toml) in float.",
    ),
)
@group("Calibration images", CALIBRATION_IMAGES, method_option, percentile_option, cache_option)
@group("Search for layers to leave in float", SEARCH_OPTIONS)
@group(
    "Result", output_option("out", "ONNX file to write.", type=click.Path(path_type=Path), required=True), json_option
)
def command(
    model: Path,
    precision: str,
    method: str,
    percentile: float,
    calib_cache: Path | None,
    target: str,
    keep: tuple[str, ...],
    quantize_first: bool | None,
    quantize_scores: bool,
    recipe: Path | None,
    dry_run: bool,
    out: Path,
    json_path: str | None,
    **given: Any,
) -> None:
    """Rewrite an ONNX file to FP16 or INT8.

    The types in the new graph are the precision in which each layer is computed. For INT8 the ranges of the
    activations are measured on the images of --calib. For FP16 these images show which activations exceed 65504; those
    stay in FP32. The file is written only if it passes onnx's checker and a run.

    --max-miou-drop POINTS searches for the few layers to leave in float so that INT8 keeps its mIoU on --data. Every
    finished step is in the log, so the same command continues after Ctrl-C. If the limit cannot be met, nothing is
    written, the message has the best result, and the exit code is 1.
    """
    from fcn_deploy.quantization.quantize import QuantizeOptions, quantize
    from fcn_deploy.recipe import load_recipe

    check_json_path(json_path)
    calibration = None if given["data"] is None else data_options(given)
    if recipe is not None and precision != "fp16":
        keep += load_recipe(recipe).keep_float
    options = QuantizeOptions(
        source=model,
        precision=precision,  # type: ignore[arg-type]
        data=calibration,
        method=method,  # type: ignore[arg-type]
        percentile=percentile,
        target=target,  # type: ignore[arg-type]
        keep=keep,
        first=None if quantize_first is None else not quantize_first,
        score=not quantize_scores,
        cache=calib_cache,
        search=search_options(given | {"dry_run": dry_run}, calibration),
    )
    if dry_run:
        _plan(options, out, json_path)
        return
    report = quantize(options, out, progress())
    emit(json_path, lambda: json.dumps(_as_json(report)), lambda: _show(report))


def _plan(options: QuantizeOptions, out: Path, json_path: str | None) -> None:
    from fcn_deploy.quantization.search.dry_run import plan_search, to_plain
    from fcn_deploy.quantization.search.text import plan_lines

    plan = plan_search(options, out, progress())
    emit(json_path, lambda: json.dumps(to_plain(plan)), lambda: click.echo("\n".join(plan_lines(plan))))


def _show(report: QuantizeReport) -> None:
    if report.search is not None:
        _show_search(report.search)
    click.echo(_as_text(report))


def _show_search(report: SearchReport) -> None:
    """Lines are not wrapped: the one for a recipe is there to be pasted."""
    from fcn_deploy.quantization.search.text import layer_table, remarks, verdict

    click.echo("\n".join(verdict(report)) + "\n")
    if report.measured:
        show(layer_table(report))
        click.echo()
    click.echo("\n".join(remarks(report)) + "\n")


def _as_text(report: QuantizeReport) -> str:
    from fcn_deploy.quantization.text import calibration_lines

    lines = [*calibration_lines(report), *_int8_lines(report), *_fp16_lines(report)]
    if report.agreement is not None:
        share = report.agreement
        lines.append(f"labels as in FP32 at {share.fraction:.3%} of {share.pixels} pixels (calibration images)")
    sizes = f"{report.bytes_after / 1e6:.1f} MB (was {report.bytes_before / 1e6:.1f})"
    return "\n".join([*lines, f"wrote {report.path}, {sizes}, in {report.seconds:.1f} s"])


def _int8_lines(report: QuantizeReport) -> list[str]:
    if not report.ranges:
        return []
    lines = [f"INT8 for {report.target}, ranges by {report.method}; the {SHOWN_TENSORS} tensors clipped most:"]
    for name in sorted(report.clipped, key=lambda name: -report.clipped[name])[:SHOWN_TENSORS]:
        low, high = report.ranges[name]
        lines.append(f"  {name:32} {low:10.4g} to {high:10.4g}   {report.clipped[name]:8.3%} of its values clipped")
    kept = ", ".join(f"{name} ({reason})" for name, reason in report.kept_from_int8.items())
    return [*lines, f"kept in float: {kept or 'no convolution'}"]


def _fp16_lines(report: QuantizeReport) -> list[str]:
    half = report.half
    if half is None:
        return []
    lines = [f"FP16: {len(half.converted)} nodes"]
    if half.kept:
        lines.append("kept in FP32: " + ", ".join(f"{name} ({reason})" for name, reason in half.kept.items()))
    if half.vanished:
        worst, share = max(half.vanished.items(), key=lambda item: item[1])
        lines.append(f"{len(half.vanished)} weights lose elements too small for FP16, most {worst} ({share:.2g} of it)")
    if report.largest_activation is not None:
        name, value = report.largest_activation
        lines.append(f"largest activation {value:.4g} at {name}; FP16 ends at 65504")
    return lines


def _as_json(report: QuantizeReport) -> dict[str, Any]:
    from fcn_deploy.quantization.search.result import to_plain
    from fcn_deploy.quantization.text import calibration_plain

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
        "tensors": tensors,
        "kept_from_int8": dict(report.kept_from_int8),
        "kept_from_fp16": {} if half is None else dict(half.kept),
        "fp16_nodes": [] if half is None else list(half.converted),
        "weights_vanishing": {} if half is None else dict(half.vanished),
        "weights_overflowing": [] if half is None else list(half.overflowing),
        "largest_activation": report.largest_activation,
        "agreed": None if report.agreement is None else [report.agreement.agreed, report.agreement.pixels],
        "search": None if report.search is None else to_plain(report.search),
        "bytes_before": report.bytes_before,
        "bytes_after": report.bytes_after,
        "seconds": report.seconds,
    }
