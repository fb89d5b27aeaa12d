"""`fcn-deploy build-engine`: a model as a TensorRT engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, option, output_option
from fcn_deploy.cli.options.data import data_options
from fcn_deploy.cli.options.numbers import BATCH, WholeNumber
from fcn_deploy.cli.options.quantization import CALIBRATION_IMAGES, keep_option, method_option
from fcn_deploy.cli.options.values import FILE, SHAPE, picked
from fcn_deploy.vocabulary import PRECISIONS

MIB = 1 << 20
PROFILE: dict[str, Any] = {"multiple": True, "type": SHAPE, "metavar": "NxHxW"}
_PROFILES = (
    option("--min", "least", **PROFILE, help="Smallest batch; repeatable, see --max."),
    option("--opt", "usual", **PROFILE, help="Usual batch; alone, the only size."),
    option("--max", "most", **PROFILE, help="Largest batch; once for each profile."),
    option(
        "--profile-from",
        metavar="IMAGES",
        help="Take the least, median and largest size of these images, rounded to 32 pixels.",
    ),
    option("--max-batch", type=BATCH, show_default="1", help="Largest N of a profile not given by --max."),
)
_BUILDER = (
    option("--flavor", metavar="NAME", show_default="what is installed, rtx first", help="rtx or tensorrt."),
    option("--sm", metavar="LIST", show_default="portable", help="RTX: GPU architectures, such as 86,89 or current."),
    option(
        "--workspace-mib", type=WholeNumber(1, 1 << 24), show_default="no limit", help="Device memory for a kernel."
    ),
    option("--timing-cache", type=FILE, writes=True, help="Store measured kernel times in this file and reuse them."),
    option("--optimization-level", type=WholeNumber(0, 5), show_default="TensorRT's own", help="0 builds fastest."),
    option("--tf32/--no-tf32", default=None, show_default="TensorRT's own", help="Use TF32 for FP32 products."),
    option("--refit", is_flag=True, help="Build a plan whose weights can be exchanged."),
    option(
        "--refit-from", metavar="ENGINE", help="Exchange the weights of an engine built with --refit; do not build."
    ),
    option("--strip", is_flag=True, help="Build a plan without weights."),
    option("--version-compatible", is_flag=True, help="Build a plan that later releases load too."),
    option("--hardware-compatible", is_flag=True, help="Build a plan for Ampere GPUs and later."),
)
_BUILDER_NAMES = (
    "timing_cache", "optimization_level", "tf32", "refit", "strip", "version_compatible", "hardware_compatible"
)  # fmt: skip


@cli_command(
    examples=[
        "fcn-deploy build-engine model.onnx -o model.engine --precision fp16",
        "fcn-deploy build-engine model.int8.onnx -o model.engine --opt 1x360x480",
        "fcn-deploy build-engine best.safetensors --precision int8+fp16 \\\n    --calib photos -o model.engine",
    ]
)
@cloup.argument("model", help='An .onnx file, a checkpoint, a recipe (.toml), or "demo".')
@group(
    "Precision",
    option(
        "--precision",
        type=click.Choice(PRECISIONS),
        show_default="the file's own types",
        help="Rewrite an FP32 model first.",
    ),
    keep_option,
)
@group("INT8 calibration", CALIBRATION_IMAGES, method_option)
@group("Sizes that the engine takes", _PROFILES)
@group("Builder", _BUILDER)
@group(
    "Result",
    output_option(
        "out",
        "Engine to write; the sidecar FILE.json is written next to it.",
        type=FILE,
        required=True,
        companions=(".json",),
    ),
    option("--force", is_flag=True, help="Build even if nothing has changed."),
    json_option,
)
def command(model: str, out: Path, profile_from: str | None, **given: Any) -> None:
    """Build a TensorRT engine, with or without a GPU.

    The engine is a plain plan. Its sidecar, FILE.json, lists its inputs and outputs, the GPUs it runs on, and the
    precision of each layer. Nothing is built if both files exist and nothing that they depend on has changed.

    TensorRT for RTX builds without a GPU, by default for compute capabilities 8.0, 8.6, 8.9, 12.0 and later.
    Its engines never run on 9.0 (H100), and have no INT8 on 7.5 (T4): use --flavor tensorrt there.
    """
    from fcn_deploy.engine.builder.options import BuildOptions, parse_sm
    from fcn_deploy.engine_build.build_engine import build_engine
    from fcn_deploy.engine_build.profiles import given_profiles
    from fcn_deploy.engine_build.text import render

    workspace = given["workspace_mib"]
    options = BuildOptions(
        sm=() if given["sm"] is None else parse_sm(given["sm"]),
        workspace_bytes=None if workspace is None else workspace * MIB,
        **picked(given, *_BUILDER_NAMES),
    )
    measured = {**given, "data": profile_from, "labels": None, "limit": None}  # all images; with --classes and the like
    report = build_engine(
        model,
        out,
        profiles=given_profiles(given["least"], given["usual"], given["most"]),
        profile_from=None if profile_from is None else data_options(measured),
        options=options,
        calibration=None if given["data"] is None else data_options(given),
        **picked(given, "precision", "max_batch", "flavor", "method", "keep", "refit_from", "force"),
        progress=progress(),
    )
    emit(report.to_plain, lambda: render(report))
