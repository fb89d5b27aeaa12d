"""Draw bars of each class: what the reference scores, and what each other row gains or loses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from fcn_deploy.benchmark.record.measurement import Accuracy
from fcn_deploy.benchmark.record.summary import class_changes
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.report.plots.scale import Scale, across
from fcn_deploy.benchmark.report.plots.svg import SERIES, WIDTH, drawing, element, line, shorten, text
from fcn_deploy.benchmark.report.sheets import reference_place
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.scores import scores
from fcn_deploy.system.formatting import number, points

LINE, TOP, BOTTOM, NAME, VALUE = 18, 24, 26, 104, 44
# More classes than a page can hold: those that changed most are shown.
MOST = 30
# Points: the axis of the changes reaches at least this far to each side.
LEAST = 0.5


# A class and its per cent or points, with the ends of the interval where there is one.
Bar = tuple[str, Interval]


@dataclass(frozen=True)
class _Chart:
    """Bars on one scale. `series` is the row's place among the rows, which gives its colour."""

    title: str
    bars: Sequence[Bar]
    scale: Scale
    ticks: Sequence[float]
    series: int
    write: Callable[[float], str]


def class_plots(record: Record, width: int = WIDTH) -> list[Markup]:
    """Draw the reference's IoU and each other row's change, one picture each; only IoUs without a reference."""
    own = record.reference_accuracy(None)
    if own is None or record.reference is None:
        scored = [(index, row.runner, row.own.accuracy) for index, row in enumerate(record.rows)]
        charts = [
            _ious(f"IoU of {name}, %", record, found, index) for index, name, found in scored if found is not None
        ]
    else:
        charts = [_ious(f"IoU of {record.reference.runner}, %", record, own, reference_place(record))]
        charts += [
            _changes(f"{row.runner}: change, points", changes, index)
            for index, row in enumerate(record.rows)
            if (changes := [(one.name, one.change) for one in class_changes(record, row)])
        ]
    return [_drawn(chart, width) for chart in charts]


def _ious(title: str, record: Record, accuracy: Accuracy, series: int) -> _Chart:
    """Draw bars from 0 to 100 %."""
    found = scores(np.array(accuracy.overall, np.int64)).per_class_iou
    bars = [(name, Interval(100 * iou)) for name, iou in zip(record.data.classes, found, strict=True)]
    return _Chart(title, bars[:MOST], Scale(0, 100, 0, 1), (0, 50, 100), series, lambda value: number(value, 1))


def _changes(title: str, bars: Sequence[Bar], series: int) -> _Chart:
    """Draw bars to both sides of 0, with whiskers; of too many classes those that changed most, in their order."""
    ends = [abs(x) for _, bar in bars for x in (bar.value, bar.low, bar.high) if x is not None and not math.isnan(x)]
    reach = max([LEAST, *(1.08 * end for end in ends)])
    most = sorted(bars, key=lambda bar: 0.0 if math.isnan(bar[1].value) else -abs(bar[1].value))[:MOST]
    scale = Scale(-reach, reach, 0, 1)
    return _Chart(title, [bar for bar in bars if bar in most], scale, scale.ticks(4), series, points)


def _drawn(chart: _Chart, width: int) -> Markup:
    if not any(bar.value for _, bar in chart.bars):  # as an export to FP32 has it: one line says it all
        words = f"{shorten(chart.title, 38)}: none"
        return drawing(width, TOP, chart.title, "No class changed.", text(0, 14, words, "ink strong"))
    height = TOP + LINE * len(chart.bars) + BOTTOM
    scale = replace(chart.scale, start=NAME, end=width - VALUE)
    lines = [_line(*bar, TOP + LINE * place, scale, chart.write, width) for place, bar in enumerate(chart.bars)]
    said = "; ".join(f"{name} {chart.write(bar.value)}" for name, bar in chart.bars)
    return drawing(
        width, height, chart.title, f"{said}.", text(0, 14, shorten(chart.title, 46), "ink strong"),
        across(scale, TOP, height - BOTTOM + 2, chart.ticks), element("g", *lines, class_=f"s{chart.series % SERIES}"),
        line(scale(0), TOP, scale(0), height - BOTTOM + 2, "base"),
    )  # fmt: skip


def _line(name: str, bar: Interval, top: float, scale: Scale, write: Callable[[float], str], width: float) -> Markup:
    value = write(bar.value)
    middle = top + LINE / 2
    parts = [text(NAME - 8, middle + 4, shorten(name, 14), "ink small", "end")]
    parts.append(text(width, middle + 4, value, "ink small", "end"))
    if not math.isnan(bar.value):
        left, right = sorted((scale(0), scale(bar.value)))
        parts.append(element("rect", x=left, y=middle - 5, width=right - left, height=10.0, class_="bar"))
    hint = f"{name}: {value}"
    if bar.low is not None and bar.high is not None:
        parts.append(line(scale(bar.low), middle, scale(bar.high), middle, "whisker"))
        hint += f" ({bar.low:+.2f} to {bar.high:+.2f})"
    return element("g", element("title", hint), *parts)
