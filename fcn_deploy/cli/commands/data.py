"""`fcn-deploy data check`: what a data set holds, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import emit, notice, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, output_option
from fcn_deploy.cli.options.data import LABEL_NAMES, LABEL_OPTIONS, count_option, labels_option, split_option
from fcn_deploy.cli.options.values import FILE, picked

PROBLEMS = 3  # exit code


@cli_command(
    examples=[
        "fcn-deploy data check photos --labels masks --classes background,road,car",
        "fcn-deploy data check cvat -o check.png",
        "fcn-deploy data check imgs --labels masks --classes background,polyp \\\n    --label-values 0,255",
    ]
)
@cloup.argument("action", type=click.Choice(["check"]), help="What to do: check.")
@cloup.argument("data", metavar="DATA", help="A list, a folder of images, a data set's root, or synthetic.")
@group(
    "Data",
    labels_option("--labels", "labels", "DATA"),
    split_option("--split", "split", "DATA", "train"),
    count_option("--max-images", "limit", "DATA"),
    LABEL_OPTIONS,
)
@group(
    "Result",
    output_option("sheet", "Write a picture of six images with their labels over them.", type=FILE),
    json_option,
)
def command(action: str, data: str, sheet: Path | None, **given: Any) -> None:
    """Check labelled images before they are used.

    Every image and label map is decoded. Printed are the pairs, the sizes, the share of the pixels of each class and
    the images that show it, the unlabelled share, and each file that cannot be used.

    Exit code: 0 without a problem, 3 if a file cannot be used or nothing can be learned from the label maps, 1 if the
    data set cannot be opened.
    """
    from fcn_deploy.data.options import DataOptions
    from fcn_deploy.data_check.check import check_data
    from fcn_deploy.data_check.text import render

    options = DataOptions(data, **picked(given, "labels", "split", "limit", *LABEL_NAMES))
    report = check_data(options, sheet=sheet, progress=progress())
    emit(report.to_plain, lambda: render(report))
    if report.sheet is not None:
        notice(f"wrote {report.sheet}")
    if report.problems:
        click.get_current_context().exit(PROBLEMS)
