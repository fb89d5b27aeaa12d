"""The options of `bench` alone that say how it measures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from fcn_deploy.cli.options.command import option
from fcn_deploy.cli.options.data import threads_option
from fcn_deploy.cli.options.numbers import COUNT, SECONDS, Form, WholeNumber
from fcn_deploy.cli.options.values import NETWORK_SIZES, SIDES, picked, size_value
from fcn_deploy.vocabulary import Size

MOST_IMAGES = 10**9  # of one inference; memory is checked when the images are known
MOST_PERCENT = 10000


def image_sizes(text: str) -> tuple[Size, ...]:
    """Parse "360x480,720x960" as ((360, 480), (720, 960)), height first."""
    return tuple(dict.fromkeys(size_value(part) for part in _parts(text)))


def batches(text: str) -> tuple[int, ...]:
    """Parse "1,4" as (1, 4)."""
    found = _parts(text)
    for part in found:
        if not re.fullmatch(r"\d{1,9}", part, re.ASCII) or not 1 <= int(part) <= MOST_IMAGES:
            raise click.BadParameter(f"'{part}' is not a number of images from 1 to {MOST_IMAGES}; write 4, or 1,4")
    if not found:
        raise click.BadParameter("it names no number of images; write 4, or 1,4")
    return tuple(dict.fromkeys(map(int, found)))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def percent(text: str) -> float:
    """Parse "5%" as 0.05. A bare 5 or 0.05 could mean either."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", text, re.ASCII)
    if found is None or float(found[1]) > MOST_PERCENT:
        raise click.BadParameter(f"'{text}' is not a percentage from 0% to {MOST_PERCENT}%; write 5% for five per cent")
    return float(found[1]) / 100


PERCENT = Form(percent, f"0%<=x<={MOST_PERCENT}%")
TIMING_OPTIONS = (
    option("--iterations", type=COUNT, default=500, help="Largest number of rounds."),
    option(
        "--seconds",
        type=SECONDS,
        default=20.0,
        help="Stop after this time, but after at least 3 rounds.",
    ),
    option(
        "--stop-at",
        "tolerance",
        was=("--tolerance",),
        type=PERCENT,
        metavar="PERCENT",
        default="1%",
        help="Stop early, after at least 100 rounds, once every median is known to within this; 0% disables it.",
    ),
    option(
        "--warmup",
        type=WholeNumber(0, 10**6),
        default=3,
        help="Least number of untimed runs of each image size; more follow until they are steady. 0 for none.",
    ),
    option(
        "--sizes",
        type=NETWORK_SIZES,
        metavar="LIST",
        help="Also run the network at these sizes, 0.5, longest:360 or 180x240: a file of each is made for this run, "
        "which takes the images as they are and gives labels of their size.",
    ),
    option(
        "--image-sizes",
        type=Form(image_sizes, SIDES),
        metavar="LIST",
        help="Also time the images themselves resized: 360x480,720x960. With --batch this makes a grid.",
    ),
    option(
        "--batch",
        "batches",
        type=Form(batches, f"1<=x<={MOST_IMAGES}"),
        default="1",
        metavar="LIST",
        help="Images per inference: 4, or 1,4. The original sizes are timed with the first.",
    ),
    option(
        "--saturation",
        type=SECONDS,
        default=1.5,
        metavar="SECONDS",
        help="Time to measure images per second with a queue that is never empty; 0 to skip it.",
    ),
    option("--no-memory", is_flag=True, help="Do not measure peak memory, which opens each runner again."),
    option("--isolate", is_flag=True, help="Time each runner in a process of its own."),
    threads_option("usable cores"),
)


def timing(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parsed values as keyword arguments of `bench`."""
    names = ("iterations", "seconds", "warmup", "batches", "saturation", "threads")
    return {
        **picked(given, *names),
        "sizes": given["sizes"] or (),
        "image_sizes": given["image_sizes"] or (),
        "stop_at": given["tolerance"] or None,
        "memory": not given["no_memory"],
        "isolated": given["isolate"],
    }
