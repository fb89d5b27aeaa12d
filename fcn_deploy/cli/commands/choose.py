"""`fcn-deploy choose`: the fastest size, precision and runner within limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.budget import WORSE, budget_options
from fcn_deploy.cli.options.command import cli_command, group, json_option, option, output_option, typed
from fcn_deploy.cli.options.data import (
    count_option,
    data_options,
    image_options,
    model_option,
    radius_option,
    source_option,
    split_option,
    threads_option,
)
from fcn_deploy.cli.options.numbers import MILLISECONDS, SECONDS
from fcn_deploy.cli.options.values import FILE, NETWORK_SIZES, complete_runner, parse_names, picked


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in parse_names(text) if name)


@cli_command(
    examples=[
        "fcn-deploy choose fcn8s.onnx --data val.txt --calib train.txt \\\n    --max-miou-drop 0.3 -o best.onnx",
        "fcn-deploy choose fcn8s.onnx --data val.txt --calib train.txt \\\n"
        "    --sizes 1,0.75,0.5 --max-miou-drop 1 --max-class-drop pole=1 \\\n    --max-ms 40 -o best.onnx",
        "fcn-deploy choose best.choice.toml -o best.onnx",
    ]
)
@cloup.argument(
    "model",
    metavar="MODEL",
    help='FP32 .onnx file, checkpoint, recipe (.toml) or "demo"; or the .choice.toml of a choice, which makes its file '
    "again and takes no other option.",
)
@group(
    "Data",
    image_options(),
    radius_option,
    source_option("--calib", "calib", "Images to calibrate INT8 with, in the forms of --data; other ones than those."),
    split_option("--calib-split", "calib_split", "--calib", "train"),
    count_option("--max-calib-images", "calib_images", "--calib", 100),
)
@group(
    "What to try",
    option(
        "--runners",
        type=_names,
        metavar="LIST",
        shell_complete=complete_runner,
        show_default="all that are installed",
        help="onnxruntime[:DEVICE], openvino[:DEVICE], tensorrt, with commas.",
    ),
    option("--precisions", type=_names, default="fp32,fp16,int8", metavar="LIST", help="In which each is tried."),
    option(
        "--sizes",
        type=NETWORK_SIZES,
        metavar="LIST",
        show_default="the model's own",
        help="At which the network computes, 1,0.75,longest:360,180x240: each size has files of its own, which take "
        "the images as they are and give labels of their size.",
    ),
    option(
        "--targets",
        type=_names,
        metavar="LIST",
        show_default="each runner's own",
        help="For whose INT8 kernels files are made: cpu, tensorrt or both.",
    ),
    model_option,
)
@group(
    "Limits",
    budget_options("against PyTorch on --data"),
    option("--max-ms", type=MILLISECONDS, metavar="MS", help="Longest median of one image."),
)
@group(
    "Search",
    option(
        "--time-budget",
        type=SECONDS,
        metavar="SECONDS",
        show_default="no limit",
        help="Start no step after this time, and take the best so far.",
    ),
    option(
        "--work",
        writes=True,
        type=FILE,
        metavar="DIR",
        show_default="OUTPUT.choose",
        help="Folder of the log of finished steps, from which the same command continues.",
    ),
    threads_option("usable cores"),
    option("--dry-run", is_flag=True, help="Print what would be tried and a time; write nothing."),
)
@group("Result", output_option("out", "ONNX file to write.", type=FILE, required=True), json_option)
def command(model: str, out: Path, **given: Any) -> None:
    """Choose the fastest size, precision and runner of a model within limits.

    Candidates are scored and timed on a few frames first; those that surely break a limit are dropped. The rest is
    scored on all frames from the fastest on, until one passes and no other can be faster. The winner's file is written
    with its model card. Losses are against PyTorch on the same frames.

    Next to the file are OUTPUT.choice.toml, from which this command makes it again, and OUTPUT.tried.csv, the table of
    what was tried.

    Every finished step is in the log, so the same command continues after Ctrl-C or a crash.

    Exit code: 0 if a file was written, 3 if no candidate passes.
    """
    from fcn_deploy.choice.choose import choice_options, choose
    from fcn_deploy.choice.dry_run import plan_choice
    from fcn_deploy.choice.outputs.recipe_file import is_choice_recipe
    from fcn_deploy.choice.text import render, render_plan
    from fcn_deploy.model_file import require_file

    require_file(model)
    if is_choice_recipe(model):
        _again(model, out)
        return
    calibration = None
    if given["calib"] is not None:
        from fcn_deploy.quantization.calibration.images import calibration_options

        named = calibration_options(given["calib"])
        calibration = replace(named, split=given["calib_split"], limit=given["calib_images"])
    asked = picked(
        given, "max_miou_drop", "max_boundary_drop", "max_class_drop", "max_ms", "runners", "precisions", "sizes",
        "targets", "model_name", "threads", "radius", "time_budget", "work",
    )  # fmt: skip
    asked["calibration"] = calibration
    if given["dry_run"]:
        plan = plan_choice(choice_options(model, out, data_options(given), **asked), progress())
        emit(plan.to_plain, lambda: render_plan(plan))
        return
    found = choose(model, out, data_options(given), **asked, progress=progress())
    emit(found.to_plain, lambda: render(found))
    click.get_current_context().exit(0 if found.winner is not None else WORSE)


def _again(recipe: str, out: Path) -> None:
    from fcn_deploy.choice.outputs.recipe_file import make_again
    from fcn_deploy.choice.text import render_again
    from fcn_deploy.system.serialization.plain import plain

    own = ("model", "out", "as_json", "json", "json_path", "verbose", "quiet")
    for parameter in click.get_current_context().command.params:
        if parameter.name not in own and typed(str(parameter.name)):
            raise click.UsageError(f"{parameter.opts[-1]} is in {recipe} already; leave it out")
    made = make_again(Path(recipe), out, progress())
    emit(lambda: {"schema": 1, "kind": "chosen file", "path": str(out), **plain(made)}, lambda: render_again(made, out))
