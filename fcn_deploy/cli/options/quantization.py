"""The options of INT8 calibration, and of the search for layers to leave in float with its limit, images and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.options.budget import POINTS_OR_GAIN, budget_options
from fcn_deploy.cli.options.command import option, typed
from fcn_deploy.cli.options.data import (
    count_option,
    data_options,
    image_options,
    labels_option,
    radius_option,
    source_option,
    split_option,
)
from fcn_deploy.cli.options.numbers import SECONDS, Number
from fcn_deploy.cli.options.values import FILE
from fcn_deploy.vocabulary import METHODS

if TYPE_CHECKING:
    from fcn_deploy.quantization.search.options import SearchOptions

CALIBRATION_IMAGES = image_options("--calib", split="train", limit=100, was=("--limit", "--images"))
method_option = option(
    "--method",
    type=click.Choice(METHODS),
    default="mse",
    help="How to choose the range of an activation from its values on these images.",
)
percentile_option = option(
    "--percentile",
    type=Number(50, 100),
    default=99.99,
    help="Percentage of the values that --method percentile does not clip.",
)
cache_option = option(
    "--calib-cache",
    "calibration_cache",
    type=FILE,
    writes=True,
    help="Store the measured values in this file; read them from it if graph and images are the same.",
)
keep_option = option(
    "--keep", multiple=True, metavar="NODE", help="Leave this node in float; score_* is a pattern; repeatable."
)
# `--bad-images` and the options of how label maps are read apply to both sets.
SEARCH_OPTIONS = (
    *budget_options("against FP32 on --data; below 0 it must gain", POINTS_OR_GAIN),
    radius_option,
    source_option("--data", "search_data", "Labelled set of the search, in the forms of --calib."),
    labels_option("--data-labels", "data_labels", "--data"),
    split_option("--data-split", "data_split", "--data", "val"),
    count_option("--max-search-images", "search_images", "--data", was=("--search-images",)),
    option(
        "--time-budget",
        type=SECONDS,
        metavar="SECONDS",
        show_default="no limit",
        help="Stop measuring layers after this time and use the results so far.",
    ),
    option(
        "--search-log",
        writes=True,
        type=FILE,
        show_default="OUTPUT.search.jsonl",
        help="File of finished steps, from which the same command continues.",
    ),
    option("--dry-run", is_flag=True, help="Print the steps, time and space of the search; write nothing."),
)


LIMITS = ("max_miou_drop", "max_boundary_drop", "max_class_drop")
OF_A_SEARCH = (
    "search_data", "data_labels", "data_split", "search_images", "radius", "time_budget", "search_log", "dry_run",
)  # fmt: skip


def search_options(given: Mapping[str, Any]) -> SearchOptions | None:
    """Return the parsed values of `SEARCH_OPTIONS` for the library; None without a limit.

    Raises:
        UsageError: an option is given without the one that it needs.
    """
    flags = {parameter.name: parameter.opts[-1] for parameter in click.get_current_context().command.params}
    limits = [flags[name] for name in LIMITS if given[name] is not None]
    if not limits:
        for name in filter(typed, OF_A_SEARCH):
            raise click.UsageError(f"{flags[name]} needs a limit, such as --max-miou-drop 0.3, which starts the search")
        return None
    if given["search_data"] is None:
        raise click.UsageError(f"{limits[0]} needs a labelled set to measure on (--data)")
    from fcn_deploy.quantization.search.options import SearchOptions

    data = replace(
        data_options(given),
        source=given["search_data"],
        labels=given["data_labels"],
        split=given["data_split"],
        limit=given["search_images"],
    )
    return SearchOptions(
        data,
        given["max_miou_drop"],
        given["max_boundary_drop"],
        given["max_class_drop"] or {},
        radius=given["radius"],
        time_budget=given["time_budget"],
        log=given["search_log"],
    )
