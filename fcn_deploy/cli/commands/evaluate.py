"""`fcn-deploy evaluate`: the accuracy of one model or of several on one labelled data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import STDOUT, emit, leave, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, option
from fcn_deploy.cli.options.data import RUN_OPTIONS, data_options, image_options, runner_option
from fcn_deploy.cli.options.values import picked


@cli_command(
    examples=[
        "fcn-deploy evaluate best.safetensors --data VOC2012",
        "fcn-deploy evaluate model.onnx model.int8.onnx model.engine --data val.txt",
        "fcn-deploy evaluate demo --json accuracy.json --html accuracy.html",
    ]
)
@cloup.argument(
    "models",
    nargs=-1,
    required=True,
    metavar="MODEL...",
    help='Engines, .onnx files, checkpoints, recipes (.toml), or "demo". Several files need the same classes; the '
    "first is what the others are compared with.",
)
@group("Data", image_options())
@group(
    "What to run",
    runner_option,
    option("--reference", metavar="FILE", help="What the others are compared with, in place of the first."),
    RUN_OPTIONS,
)
@group(
    "Result",
    option(
        "--html",
        "html_path",
        metavar="FILE",
        writes=True,
        help="Write a page with the tables and the confusion matrix.",
    ),
    json_option,
)
def command(models: tuple[str, ...], html_path: str | None, **given: Any) -> None:
    """Measure the accuracy of a model on a labelled data set, or compare several.

    Without --data the images are generated. The result has pixel accuracy, mean accuracy, mean IoU and frequency
    weighted IoU as the FCN paper defines them, Dice (F1) and precision: over all pixels, near label changes, and away
    from them; and Boundary IoU as Cheng et al. define it. A class that occurs neither in the labels nor in the
    prediction is left out. The confusion matrix is in --json and --html.
    """
    from fcn_deploy.evaluation.evaluate import evaluate
    from fcn_deploy.evaluation.page import render_page
    from fcn_deploy.evaluation.text import render, render_comparison

    _check_page(html_path)
    options = picked(given, "model_name", "runner", "radius", "threads")
    if len(models) == 1 and given["reference"] is None:
        report = evaluate(models[0], data_options(given), **options, progress=progress())
        emit(report.to_plain, lambda: render(report))
        page = None if html_path is None else render_page(report)
    else:
        found = evaluate(models, data_options(given), reference=given["reference"], **options, progress=progress())
        emit(found.to_plain, lambda: render_comparison(found))
        page = None if html_path is None else render_page(found)
    if page is not None:
        leave(str(html_path), page)


def _check_page(path: str | None) -> None:
    """Check before the work starts that the page can be written.

    Raises:
        UsageError: it is to be printed.
        OutputError: it cannot be written.
    """
    from fcn_deploy.system.files import check_writable

    if path == STDOUT:
        raise click.UsageError("--html needs a file; - would print the page among the tables")
    if path is None:
        return
    check_writable(Path(path))
