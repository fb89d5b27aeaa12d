"""`fcn-deploy quantize`: an exported file rewritten to another precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, option, output_option, typed
from fcn_deploy.cli.options.data import data_options
from fcn_deploy.cli.options.quantization import (
    CALIBRATION_IMAGES,
    SEARCH_OPTIONS,
    cache_option,
    keep_option,
    method_option,
    percentile_option,
    search_options,
)
from fcn_deploy.cli.options.values import FILE, picked
from fcn_deploy.vocabulary import QUANTIZED_PRECISIONS, TARGETS


@cli_command(
    examples=[
        "fcn-deploy quantize model.onnx --precision fp16 -o model.fp16.onnx",
        "fcn-deploy quantize model.onnx --precision int8 --calib photos --target cpu \\\n    -o model.int8.onnx",
        "fcn-deploy quantize model.onnx --precision int8 --calib train.txt \\\n"
        "    --data val.txt --max-miou-drop 0.3 -o model.int8.onnx",
    ]
)
@cloup.argument("model", type=FILE, help='FP32 .onnx file; a checkpoint, a recipe (.toml) or "demo" is exported first.')
@group(
    "Precision",
    option("--precision", type=click.Choice(QUANTIZED_PRECISIONS), required=True, help="Type to compute in."),
    option(
        "--target",
        type=click.Choice(TARGETS),
        default="tensorrt",
        help="Where INT8 layers will run: TensorRT, or ONNX Runtime and OpenVINO on a CPU.",
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
        "--equalize/--no-equalize",
        default=None,
        show_default="where one channel is much larger than the others",
        help="Equalise the channels between layers before INT8; FP32 results stay the same.",
    ),
    option("--correct-bias", is_flag=True, help="Let biases take back the mean error of the 8-bit weights."),
    option("--recipe", type=FILE, help="Also leave the layers of keep_float of this recipe (.toml) in float."),
)
@group("Calibration images", CALIBRATION_IMAGES, method_option, percentile_option, cache_option)
@group("Search for layers to leave in float", SEARCH_OPTIONS)
@group("Result", output_option("out", "ONNX file to write.", type=FILE, required=True), json_option)
def command(model: Path, out: Path, **given: Any) -> None:
    """Rewrite a model to FP16, BF16, FP8 or INT8.

    The types in the new graph are the precision in which each layer is computed. For INT8 the ranges of the
    activations are measured on the images of --calib. For FP16 these images show which activations exceed 65504; those
    stay in FP32. The file is written only if it passes onnx's checker and a run.

    FP8 (E4M3, opset 19) is for GPUs of compute capability 8.9 and later, with TensorRT 10 or later or TensorRT for RTX:
    each activation has its largest value on these images at 448. BF16 (opset 22) is for 8.0 and later and needs no
    images; score layers and transposed convolutions stay in FP32. On a CPU both are computed in FP32, with rounding.

    A limit on the loss (--max-miou-drop, --max-boundary-drop, --max-class-drop) searches for the few layers to leave in
    float so that INT8 passes every limit on --data. Every finished step is in the log, so the same command continues
    after Ctrl-C. If no choice of layers passes, nothing is written, the message has the best result, and the exit code
    is 3.
    """
    from fcn_deploy.quantization.options import QuantizeOptions
    from fcn_deploy.quantization.quantize import quantize
    from fcn_deploy.quantization.search.dry_run import plan_search
    from fcn_deploy.quantization.search.text import render_plan
    from fcn_deploy.quantization.text import render

    _check_ranges(given["precision"])
    calibration = None if given["data"] is None else data_options(given)
    options = picked(
        given, "precision", "method", "percentile", "calibration_cache", "target", "keep", "quantize_first",
        "quantize_scores", "equalize", "correct_bias", "recipe",
    )  # fmt: skip
    options |= {"calibration": calibration, "search": search_options(given)}
    if given["dry_run"]:
        plan = plan_search(QuantizeOptions(model, **options), out, progress())
        emit(plan.to_plain, lambda: render_plan(plan))
        return
    report = quantize(model, out, **options, progress=progress())
    emit(report.to_plain, lambda: render(report))


def _check_ranges(precision: str) -> None:
    """Raise click.UsageError if an option about the ranges of INT8 was given for another precision."""
    for name in ("method", "percentile"):
        if typed(name) and not precision.startswith("int8"):
            raise click.UsageError(
                f"--{name} chooses the ranges of INT8, and {precision} has none; leave it out, or use int8"
            )
