"""Draw bars of each class: what the reference scores, and what each other row gains or loses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from markupsafe import Markup

from fcn_deploy.benchmark.record.measurement import Accuracy
from fcn_deploy.benchmark.record.summary import class_changes
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.report.sheets import reference_place
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.scores import scores
from fcn_deploy.page.scale import Scale, across
from fcn_deploy.page.svg import SERIES, WIDTH, drawing, element, line, shorten, text
from fcn_deploy.system.formatting import number, points

LINE, TOP, BOTTOM, NAME, VALUE = 18, 24, 26, 104, 44
# More classes than a page can hold: those that changed most are shown.
MOST = 30
# Points: the axis of the changes reaches at least this far to each side.
LEAST = 0.5
# A class and its per cent or points, with the ends of the interval where there is one.
Bar = tuple[str, Interval]
Write = Callable[[float], str]


def class_plots(record: Record, width: int = WIDTH) -> list[Markup]:
    """Draw the reference's IoU and each other row's change, one picture each; only IoUs without a reference."""
    own = record.reference_accuracy(None)
    if own is None or record.reference is None:
        scored = [(index, row.name, row.own.accuracy) for index, row in enumerate(record.rows)]
        return [_ious(record, name, found, index, width) for index, name, found in scored if found is not None]
    found = [(index, row.name, class_changes(record, row)) for index, row in enumerate(record.rows)]
    changes = [(index, name, [(one.name, one.change) for one in own]) for index, name, own in found if own]
    reach = _reach([bar for *_, bars in changes for _, bar in bars])
    return [
        _ious(record, record.reference.name, own, reference_place(record), width),
        *(_changes(name, bars, index, width, reach) for index, name, bars in changes),
    ]


def _reach(bars: Sequence[Interval]) -> float:
    """Return how far the axis of all changes goes to each side, so that bars of two pictures compare."""
    ends = [abs(x) for bar in bars for x in (bar.value, bar.low, bar.high) if x is not None and not math.isnan(x)]
    return max([LEAST, *(1.08 * end for end in ends)])


def _ious(record: Record, runner: str, accuracy: Accuracy, series: int, width: int) -> Markup:
    """Draw bars from 0 to 100 %."""
    found = scores(np.array(accuracy.overall, np.int64)).per_class_iou
    bars = [(name, Interval(100 * iou)) for name, iou in zip(record.data.classes, found, strict=True)]
    scale, write = Scale(0, 100, NAME, width - VALUE), partial(number, decimals=1)
    return _drawn(f"IoU of {runner}, %", bars[:MOST], scale, (0, 50, 100), series, write)


def _changes(runner: str, bars: Sequence[Bar], series: int, width: int, reach: float) -> Markup:
    """Draw bars to both sides of 0, with whiskers; of too many classes those that changed most, in their order."""
    most = sorted(bars, key=lambda bar: 0.0 if math.isnan(bar[1].value) else -abs(bar[1].value))[:MOST]
    scale, shown = Scale(-reach, reach, NAME, width - VALUE), [bar for bar in bars if bar in most]
    return _drawn(f"{runner}: change, points", shown, scale, scale.ticks(6), series, points)


def _drawn(title: str, bars: Sequence[Bar], scale: Scale, ticks: Sequence[float], series: int, write: Write) -> Markup:
    """Draw one picture; `series` is the row's place among the rows, which gives its colour."""
    width = scale.end + VALUE
    if not any(bar.value for _, bar in bars):  # as an export to FP32 has it: one line says it all
        words = f"{shorten(title, 38)}: none"
        return drawing(width, TOP, title, "No class changed.", text(0, 14, words, "ink strong"))
    height = TOP + LINE * len(bars) + BOTTOM
    lines = [_line(*bar, TOP + LINE * place, scale, write) for place, bar in enumerate(bars)]
    said = "; ".join(f"{name} {write(bar.value)}" for name, bar in bars)
    return drawing(
        width, height, title, f"{said}.", text(0, 14, shorten(title, 46), "ink strong"),
        across(scale, TOP, height - BOTTOM + 2, ticks), element("g", *lines, class_=f"s{series % SERIES}"),
        line(scale(0), TOP, scale(0), height - BOTTOM + 2, "base"),
    )  # fmt: skip


def _line(name: str, bar: Interval, top: float, scale: Scale, write: Write) -> Markup:
    value = write(bar.value)
    middle = top + LINE / 2
    parts = [text(NAME - 8, middle + 4, shorten(name, 14), "ink small", "end")]
    parts.append(text(scale.end + VALUE, middle + 4, value, "ink small", "end"))
    if not math.isnan(bar.value):
        left, right = sorted((scale(0), scale(bar.value)))
        parts.append(element("rect", x=left, y=middle - 5, width=right - left, height=10.0, class_="bar"))
    hint = f"{name}: {value}"
    if bar.low is not None and bar.high is not None:
        parts.append(line(scale(bar.low), middle, scale(bar.high), middle, "whisker"))
        hint += f" ({bar.low:+.2f} to {bar.high:+.2f})"
    return element("g", element("title", hint), *parts)
