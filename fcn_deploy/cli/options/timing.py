"""How long, at which sizes and in which processes `bench` times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.options.data import MOST_THREADS
from fcn_deploy.cli.options.gate import percent
from fcn_deploy.cli.options.values import size_value
from fcn_deploy.vocabulary import Size

if TYPE_CHECKING:
    from fcn_deploy.benchmark.timing.latency import Budget

LONGEST_SIDE = 1 << 16


def sizes(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[tuple[int, int], ...]:
    """ "360x480,720x960" as ((360, 480), (720, 960)), height first."""
    return tuple(dict.fromkeys(_size(part) for part in _parts(text)))


def batches(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    """ "1,4" as (1, 4)."""
    found = _parts(text)
    for part in found:
        if not re.fullmatch(r"\d{1,9}", part) or int(part) < 1:
            raise click.BadParameter(f"'{part}' is not a number of images; write 4, or 1,4")
    if not found:
        raise click.BadParameter("it names no number of images; write 4, or 1,4")
    return tuple(dict.fromkeys(map(int, found)))


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _size(text: str) -> Size:
    size = size_value(text)
    if max(size) > LONGEST_SIDE:
        raise click.BadParameter(f"'{text}' has a side of more than {LONGEST_SIDE} pixels; give smaller sizes")
    return size


TIMING_OPTIONS = (
    click.option("--iterations", type=click.IntRange(min=1), default=500, show_default=True, help="Rounds at most."),
    click.option(
        "--seconds",
        type=click.FloatRange(min=0),
        default=20.0,
        show_default=True,
        help="Stop timing after this long, but not before 3 rounds.",
    ),
    click.option(
        "--tolerance",
        callback=percent,
        default="1%",
        show_default=True,
        metavar="PERCENT",
        help="Stop earlier, after 100 rounds, once every median is known to so much; 0% never does.",
    ),
    click.option(
        "--warmup",
        type=click.IntRange(min=0),
        default=3,
        show_default=True,
        help="Untimed runs of each image size at least; more follow until they are steady. 0 for none.",
    ),
    click.option(
        "--sizes",
        callback=sizes,
        metavar="LIST",
        help="Time the images at these sizes too, resized: 360x480,720x960. With --batch this makes a grid.",
    ),
    click.option(
        "--batch",
        "batches",
        callback=batches,
        default="1",
        show_default=True,
        metavar="LIST",
        help="Images an inference: 4, or 1,4. The data set's own sizes are timed with the first.",
    ),
    click.option(
        "--saturation",
        type=click.FloatRange(min=0),
        default=1.5,
        show_default=True,
        metavar="SECONDS",
        help="How long images a second are counted, with the next batch always at hand; 0 for not at all.",
    ),
    click.option("--isolate", is_flag=True, help="Time each runner in a process of its own."),
    click.option(
        "--threads", type=click.IntRange(1, MOST_THREADS), help="CPU threads of each runner.  [default: usable cores]"
    ),
)


def budget(given: Mapping[str, Any]) -> Budget:
    """The parsed values as the library takes them."""
    from fcn_deploy.benchmark.timing.latency import Budget

    return Budget(given["iterations"], given["seconds"], given["warmup"], tolerance=given["tolerance"] or None)


def shapes(given: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `BenchOptions` for sizes, batches, processes and what runs in them."""
    numbers = given["batches"]
    return {
        "batch": numbers[0],
        "sizes": given["sizes"],
        "batches": numbers if given["sizes"] or len(numbers) > 1 else (),
        "isolated": given["isolate"],
        "saturation_s": given["saturation"],
        "threads": given["threads"],
    }
