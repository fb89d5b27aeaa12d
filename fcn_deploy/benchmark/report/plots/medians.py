"""Draw a bar for the median of each timed row, with a line that goes on to its p90."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from fcn_deploy.benchmark.record.summary import Speed, speed
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.page.scale import Scale, across, from_zero
from fcn_deploy.page.svg import SERIES, WIDTH, drawing, element, fitted, line, text
from fcn_deploy.system.formatting import count, milliseconds

STEP, THICK, TOP, BOTTOM, EDGE = 38, 12, 26, 24, 4
FIGURES = 96  # pixels for the two figures at the right of a name


@dataclass(frozen=True)
class TimedBar:
    """One row: its name, its place among the rows, its times."""

    name: str
    series: int
    timed: Speed


def medians_plot(record: Record, width: int = WIDTH) -> Markup | None:
    """Draw milliseconds of one batch, from 0; None if no row was timed."""
    found = [(index, row.name, speed(record, row.own)) for index, row in enumerate(record.rows)]
    bars = [TimedBar(name, index, timed) for index, name, timed in found if timed is not None]
    if not bars:
        return None
    height = TOP + STEP * len(bars) + BOTTOM
    scale = from_zero([max(bar.timed.p90_ms, bar.timed.median_ms) for bar in bars], EDGE, width - EDGE)
    said = "; ".join(f"{bar.name} {milliseconds(bar.timed.median_ms)} ms" for bar in bars)
    batch = record.settings.batch
    title = f"Median and p90 of {'an image' if batch == 1 else count(batch, 'image')}, ms"
    return drawing(
        width, height, title, f"{said}.", text(0, 14, title, "ink strong"),
        across(scale, TOP, height - BOTTOM), *(_bar(bar, TOP + STEP * place, scale) for place, bar in enumerate(bars)),
        line(scale(0), TOP, scale(0), height - BOTTOM, "base"),
    )  # fmt: skip


def _bar(bar: TimedBar, top: float, scale: Scale) -> Markup:
    """Draw the name with both figures, and the bar below them."""
    median, p90 = (milliseconds(value) for value in (bar.timed.median_ms, bar.timed.p90_ms))
    right, middle = scale.end + EDGE, top + STEP - 5 - THICK / 2
    end, reach = scale(bar.timed.median_ms), scale(max(bar.timed.p90_ms, bar.timed.median_ms))
    return element(
        "g",
        element("title", f"{bar.name}: median {median} ms, p90 {p90} ms"),
        text(EDGE + 4, top + 15, fitted(bar.name, 0.9 * (right - FIGURES - EDGE - 8)), "ink"),
        text(right - 44, top + 15, median, "ink strong", "end"),
        text(right, top + 15, p90, "faint", "end"),
        element("rect", x=scale(0), y=middle - THICK / 2, width=end - scale(0), height=float(THICK), class_="bar"),
        line(end, middle, reach, middle, "whisker"),
        line(reach, middle - 4, reach, middle + 4, "whisker"),
        class_=f"s{bar.series % SERIES}",
    )
