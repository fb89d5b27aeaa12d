"""The options of `bench` for images that arrive as those of cameras do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from fcn_deploy.cli.options.command import option, refuse_without
from fcn_deploy.cli.options.numbers import Form, Number, WholeNumber
from fcn_deploy.cli.options.values import picked


def duration(text: str) -> float:
    """Parse "50ms" or "0.05s" as 0.05 seconds. A bare 50 could mean either."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s)", text)
    seconds = 0.0 if found is None else float(found[1]) / (1000 if found[2] == "ms" else 1)
    if not 0.0001 <= seconds <= 60:
        raise click.BadParameter(f"'{text}' is not a time of 0.1ms to 60s; write 50ms, or 0.05s")
    return seconds


STREAM_OPTIONS = (
    option(
        "--streams",
        type=WholeNumber(1, 1000),
        help="Also find how many streams of images, at most N, each row serves within the deadline.",
    ),
    option("--fps", type=Number(0.1, 1000), default=30.0, help="Images per second of each stream."),
    option(
        "--deadline",
        type=Form(duration, "0.1ms<=x<=60s"),
        metavar="TIME",
        show_default="1 / fps",
        help="From an image's arrival to its labels, kept by 99 of 100 images: 50ms.",
    ),
)


def stream_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parsed values as keyword arguments of `bench`; UsageError for a rate or a deadline of no streams."""
    refuse_without("streams", "fps", "deadline", words="needs --streams, the largest number to try")
    return picked(given, "streams", "fps", "deadline")
