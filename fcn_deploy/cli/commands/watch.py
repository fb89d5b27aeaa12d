"""`fcn-deploy watch`: whether images still fit the calibration of an INT8 file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, option, refuse_without
from fcn_deploy.cli.options.data import (
    bad_images_option,
    count_option,
    radius_option,
    runner_option,
    source_option,
    split_option,
    threads_option,
)
from fcn_deploy.cli.options.numbers import COUNT, Number
from fcn_deploy.cli.options.values import FILE, picked

if TYPE_CHECKING:
    from fcn_deploy.data.options import DataOptions

OUT, UNJUDGED = 3, 4


@cli_command(
    examples=[
        "fcn-deploy watch model.int8.onnx photos --calib-cache calib.cache",
        "fcn-deploy watch model.int8.onnx photos --calib-cache calib.cache \\\n    --reference model.onnx --details",
        "fcn-deploy watch model.int8.onnx photos --calib train.txt",
    ]
)
@cloup.argument("model", help="INT8 .onnx file, as `fcn-deploy quantize` writes it.")
@cloup.argument(
    "images",
    nargs=-1,
    required=True,
    help="Image files, folders, globs in quotes, list files, videos, - for paths on standard input, or object "
    "storage, as for `fcn-deploy predict`.",
)
@group(
    "What to compare",
    option("--reference", metavar="FILE", help="FP32 file of the same network, to count labels that differ from it."),
    option("--max-images", type=COUNT, default=200, help="Largest number of images that are run, spread over all."),
    runner_option,
    radius_option,
    threads_option("the runner's own choice"),
)
@group(
    "Calibration images",
    source_option("--calib", "calib"),
    split_option("--calib-split", "calib_split", "--calib", "train"),
    count_option("--max-calib-images", "calib_images", "--calib", 100),
    bad_images_option,
    option(
        "--calib-cache",
        "calibration_cache",
        type=FILE,
        help="In place of --calib: the cache of `fcn-deploy quantize`; its images are not run again.",
    ),
)
@group(
    "Limits",
    option(
        "--false-alarms",
        type=Number(0.1, 50),
        default=5.0,
        metavar="PERCENT",
        help="Of 100 sets of images like the calibration's, how many may be out.",
    ),
    option(
        "--max-beyond",
        type=Number(0, 100),
        default=0.1,
        metavar="PERCENT",
        help="Share of a tensor's values outside its range that is always in order.",
    ),
    option(
        "--max-differing",
        type=Number(0, 100),
        metavar="PERCENT",
        show_default="twice the calibration's, 2 where that is not known",
        help="Share of labels unlike the reference's that is in order.",
    ),
    option("--strict", is_flag=True, help="Exit code 4 where there are too few images to judge."),
)
@group("Result", option("--details", is_flag=True, help="Show every figure, not only those that are out."), json_option)
def command(model: str, images: tuple[str, ...], details: bool, strict: bool, **given: Any) -> None:
    """Judge without labels whether images still fit the calibration of an INT8 file.

    Four things are compared with the calibration images: what the images look like (brightness, colour, contrast,
    detail, size), the shares of the classes, for each quantised tensor the share of its values beyond its range, and
    with --reference the labels that FP32 gives otherwise. Limits are chosen by drawing sets of images from the
    calibration set.

    Exit code: 0 if the images fit, 3 if a figure is out, 1 on an error. Fewer than 8 images are too few to judge: the
    figures are shown and the exit code is 0, or 4 with --strict. Unreadable images are left out and listed.
    """
    from fcn_deploy.drift.text import render
    from fcn_deploy.drift.watch import watch

    refuse_without("reference", "max_differing", "runner", "radius")
    refuse_without("calib", "calib_split", "calib_images", "bad_images")
    found = watch(
        model,
        images,
        calibration=_calibration(given),
        false_alarms=given["false_alarms"] / 100,
        max_beyond=given["max_beyond"] / 100,
        max_differing=None if given["max_differing"] is None else given["max_differing"] / 100,
        **picked(given, "reference", "calibration_cache", "max_images", "runner", "radius", "threads"),
        stdin=sys.stdin.buffer,
        progress=progress(),
    )
    emit(found.to_plain, lambda: render(found, details=details))
    code = {True: 0, False: OUT, None: UNJUDGED if strict else 0}[found.fits]
    if code:
        click.get_current_context().exit(code)


def _calibration(given: Mapping[str, Any]) -> DataOptions | None:
    from fcn_deploy.data.options import DataOptions

    if given["calib"] is None:
        return None
    return DataOptions(
        given["calib"],
        split=given["calib_split"],
        limit=given["calib_images"],
        on_error="skip" if given["bad_images"] == "skip" else "raise",
    )
