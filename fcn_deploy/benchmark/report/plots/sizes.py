"""The curve over sizes and batches: time, memory and accuracy of each row at each size that was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from fcn_deploy.benchmark.record.summary import total_ms
from fcn_deploy.benchmark.record.types import Cell, Record
from fcn_deploy.benchmark.report.plots.scale import Scale, across, centred, from_zero, positive, up
from fcn_deploy.benchmark.report.plots.svg import SERIES, WIDTH, drawing, element, marker, path, shorten, text
from fcn_deploy.metrics.scores import scores
from fcn_deploy.system.formatting import milliseconds, number

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 220, 48, 20, 28, 38
MIB = 1 << 20
LEAST = 1.0  # points of mIoU


@dataclass(frozen=True)
class Measure:
    """One figure of a cell; None where it was not measured. `every_batch`: it is another one for each batch."""

    title: str
    value: Callable[[Cell], float | None]
    write: Callable[[float], str]
    every_batch: bool = True


@dataclass(frozen=True)
class Line:
    """One row: its values by size in pixels."""

    name: str
    series: int
    points: tuple[tuple[float, float], ...]


def median_ms(cell: Cell) -> float | None:
    """Milliseconds of one image."""
    return float(np.median(total_ms(cell.latency))) / cell.shape[0] if cell.latency.execute_ns else None


def peak_mib(cell: Cell) -> float | None:
    return cell.memory.peak_bytes / MIB if cell.memory is not None else None


def mean_iou(cell: Cell) -> float | None:
    """Per cent."""
    if cell.accuracy is None:
        return None
    return 100 * scores(np.array(cell.accuracy.overall, np.int64)).mean_iou


TIME = Measure("ms an image", median_ms, milliseconds)
MEMORY = Measure("peak memory, MiB", peak_mib, lambda value: number(value, 0))
ACCURACY = Measure("mIoU, %", mean_iou, lambda value: number(value, 2), every_batch=False)


def size_plots(record: Record, width: int = WIDTH) -> list[Markup]:
    """A picture for each measure and batch, in which sizes go to the right; none if the run had no cells."""
    batches = sorted({cell.shape[0] for row in record.rows for cell in row.cells})
    plots = []
    for measure in (TIME, MEMORY, ACCURACY):
        for batch in batches if measure.every_batch else batches[:1]:
            lines = _lines(record, measure, batch)
            if lines:
                title = f"{measure.title}{f', batch {batch}' if measure.every_batch and len(batches) > 1 else ''}"
                plots.append(_drawn(title, measure, lines, _sizes(record), width))
    return plots


def _lines(record: Record, measure: Measure, batch: int) -> list[Line]:
    lines = []
    for index, row in enumerate(record.rows):
        values = {cell.shape: measure.value(cell) for cell in row.cells if cell.shape[0] == batch}
        known = sorted((float(h * w), v) for (_, h, w), v in values.items() if v is not None and not math.isnan(v))
        if known:
            lines.append(Line(row.runner, index, tuple(known)))
    return lines


def _sizes(record: Record) -> dict[float, str]:
    """Pixels -> "360x480"."""
    shapes = sorted({cell.shape[1:] for row in record.rows for cell in row.cells}, key=math.prod)
    return {float(height * width): f"{height}x{width}" for height, width in shapes}


def _drawn(title: str, measure: Measure, lines: list[Line], sizes: dict[float, str], width: int) -> Markup:
    values = [value for line in lines for _, value in line.points]
    right = positive(sizes, LEFT + 26, width - RIGHT - 16)
    upwards = _upwards(measure, values)
    said = "; ".join(
        f"{line.name}: " + ", ".join(f"{sizes[pixels]} {measure.write(value)}" for pixels, value in line.points)
        for line in lines
    )
    return drawing(
        width, HEIGHT, title, f"{said}.", text(0, 14, shorten(title, 46), "ink strong"),
        up(upwards, LEFT, width - RIGHT), across(right, TOP, HEIGHT - BOTTOM, []), *_size_names(right, sizes),
        *(_line(line, measure, right, upwards, sizes) for line in lines),
    )  # fmt: skip


def _upwards(measure: Measure, values: list[float]) -> Scale:
    if measure is TIME:
        return positive(values, HEIGHT - BOTTOM, TOP)
    if measure is ACCURACY:
        return centred(values, HEIGHT - BOTTOM, TOP, LEAST)
    return from_zero(values, HEIGHT - BOTTOM, TOP)


def _size_names(right: Scale, sizes: dict[float, str]) -> list[Markup]:
    """Below the axis, in two lines where neighbours would touch."""
    drawn, last = [], -math.inf
    for pixels, name in sizes.items():
        close = right(pixels) - last < 60
        drawn.append(text(right(pixels), HEIGHT - BOTTOM + (28 if close else 14), name, "faint small", "middle"))
        last = -math.inf if close else right(pixels)
    return drawn


def _line(line: Line, measure: Measure, right: Scale, upwards: Scale, sizes: dict[float, str]) -> Markup:
    places = [(right(pixels), upwards(value)) for pixels, value in line.points]
    marks = [
        marker(x, y, line.series, f"{line.name}, {sizes[pixels]}: {measure.write(value)}")
        for (x, y), (pixels, value) in zip(places, line.points, strict=True)
    ]
    return element("g", path(places, "line"), *marks, class_=f"s{line.series % SERIES}")
