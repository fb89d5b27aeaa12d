"""The options of `quantize` that say what mIoU the INT8 graph must keep, and how long to look for the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fcn_deploy.data.options import DataOptions
    from fcn_deploy.quantization.search.search import SearchOptions

# `--classes`, `--ignore-index` and `--bad-images` are said once, for both sets.
SEARCH_OPTIONS = (
    click.option(
        "--max-miou-drop",
        type=float,
        metavar="POINTS",
        help="Search for the few layers to leave in float so that INT8 loses no more on --data; below 0 it must gain.",
    ),
    click.option("--data", "search_data", metavar="SOURCE", help="The labelled set of the search, as for --calib."),
    click.option("--data-labels", metavar="DIR", help="Folder of label maps, where --data is a folder of images."),
    click.option("--data-split", default="val", show_default=True, help="Which list, where --data is a VOC root."),
    click.option(
        "--search-images", type=click.IntRange(min=1), help="At most so many images of --data, spread over it."
    ),
    click.option(
        "--time-budget",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Stop measuring layers in time and make do with what is known by then.",
    ),
    click.option(
        "--search-log",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Finished steps; the same command goes on after them.  [default: OUT.search.jsonl]",
    ),
    click.option(
        "--dry-run", is_flag=True, help="Say what the search would do, in which time and space; write nothing."
    ),
)


def search_options(given: Mapping[str, Any], calibration: DataOptions | None) -> SearchOptions | None:
    """The parsed values of `SEARCH_OPTIONS`; None where no search is asked for.

    Raises:
        UsageError: an option that goes with another stands alone.
    """
    drop, source = given["max_miou_drop"], given["search_data"]
    if drop is None:
        _refuse_alone(given)
        return None
    if source is None:
        raise click.UsageError("--max-miou-drop needs a labelled set to measure on (--data)")
    for flag, number in (("--max-miou-drop", drop), ("--time-budget", given["time_budget"] or 0.0)):
        if not math.isfinite(number):
            raise click.UsageError(f"{flag} {number} is no finite number")
    from fcn_deploy.data.options import DataOptions
    from fcn_deploy.quantization.search.search import SearchOptions

    data = replace(
        calibration or DataOptions(),
        source=source,
        labels=given["data_labels"],
        split=given["data_split"],
        limit=given["search_images"],
    )
    return SearchOptions(data, drop, given["time_budget"], given["search_log"])


def _refuse_alone(given: Mapping[str, Any]) -> None:
    flags = {
        "--data": given["search_data"],
        "--data-labels": given["data_labels"],
        "--search-images": given["search_images"],
        "--time-budget": given["time_budget"],
        "--search-log": given["search_log"],
        "--dry-run": given["dry_run"] or None,
    }
    alone = [flag for flag, value in flags.items() if value is not None]
    if alone:
        raise click.UsageError(f"{alone[0]} is for a search; say what it may cost (--max-miou-drop)")
