"""Draw curves over sizes and batches: time, memory and accuracy of each row at each size that was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from markupsafe import Markup

from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.record.series import series
from fcn_deploy.benchmark.record.summary import fidelity
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.page.scale import Scale, across, centred, from_zero, positive, up
from fcn_deploy.page.svg import SERIES, WIDTH, drawing, element, marker, path, shorten, text
from fcn_deploy.system.formatting import milliseconds, number
from fcn_deploy.vocabulary import Shape

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 220, 48, 20, 28, 38
MIB = 1 << 20
LEAST = 1.0  # points of mIoU


@dataclass(frozen=True)
class Metric:
    """One figure of a measurement; None where it was not measured. `every_batch`: it is another one for each batch."""

    title: str
    value: Callable[[Record, Measurement], float | None]
    write: Callable[[float], str]
    scale: Callable[[Sequence[float], float, float], Scale]
    every_batch: bool = True


@dataclass(frozen=True)
class Curve:
    """One row: its values by size in pixels."""

    name: str
    series: int
    points: tuple[tuple[float, float], ...]


def median_ms(record: Record, found: Measurement) -> float | None:
    """Return milliseconds of one image."""
    times = series(record, found)
    return None if times is None else float(np.median(times.total_ms)) / times.shapes[0][0]


def peak_mib(record: Record, found: Measurement) -> float | None:
    return found.memory.peak_bytes / MIB if found.memory is not None else None


def mean_iou(record: Record, found: Measurement) -> float | None:
    return fidelity(record, found).mean_iou


METRICS = (
    Metric("ms an image", median_ms, milliseconds, positive),
    Metric("peak memory, MiB", peak_mib, lambda value: number(value, 0), from_zero),
    Metric("mIoU, %", mean_iou, lambda value: number(value, 2), partial(centred, least=LEAST), every_batch=False),
)


def size_plots(record: Record, width: int = WIDTH) -> list[Markup]:
    """Draw each metric and batch by size, which goes to the right; none if nothing was timed on resized images."""
    shapes = [found.shape for row in record.rows for found in row.resized if found.shape]
    batches = sorted({shape[0] for shape in shapes})
    sizes = {float(height * width): f"{height}x{width}" for _, height, width in sorted(shapes, key=_pixels)}
    plots = []
    for metric in METRICS:
        for batch in batches if metric.every_batch else batches[:1]:
            curves = _curves(record, metric, batch)
            if curves:
                title = f"{metric.title}{f', batch {batch}' if metric.every_batch and len(batches) > 1 else ''}"
                plots.append(_drawn(title, metric, curves, sizes, width))
    return plots


def _curves(record: Record, metric: Metric, batch: int) -> list[Curve]:
    curves = []
    for index, row in enumerate(record.rows):
        found = [(one.shape, metric.value(record, one)) for one in row.resized if one.shape and one.shape[0] == batch]
        known = sorted((float(_pixels(shape)), v) for shape, v in found if v is not None and not math.isnan(v))
        if known:
            curves.append(Curve(row.name, index, tuple(known)))
    return curves


def _pixels(shape: Shape) -> int:
    return shape[1] * shape[2]


def _drawn(title: str, metric: Metric, curves: list[Curve], sizes: dict[float, str], width: int) -> Markup:
    values = [value for curve in curves for _, value in curve.points]
    right = positive(sizes, LEFT + 26, width - RIGHT - 16)
    upwards = metric.scale(values, HEIGHT - BOTTOM, TOP)
    said = "; ".join(
        f"{curve.name}: " + ", ".join(f"{sizes[pixels]} {metric.write(value)}" for pixels, value in curve.points)
        for curve in curves
    )
    return drawing(
        width, HEIGHT, title, f"{said}.", text(0, 14, shorten(title, 46), "ink strong"),
        up(upwards, LEFT, width - RIGHT), across(right, TOP, HEIGHT - BOTTOM, []), *_size_names(right, sizes),
        *(_curve(curve, metric, right, upwards, sizes) for curve in curves),
    )  # fmt: skip


def _size_names(right: Scale, sizes: dict[float, str]) -> list[Markup]:
    """Write the sizes below the axis, in two lines where neighbours would touch."""
    drawn, last = [], -math.inf
    for pixels, name in sizes.items():
        close = right(pixels) - last < 60
        drawn.append(text(right(pixels), HEIGHT - BOTTOM + (28 if close else 14), name, "faint small", "middle"))
        last = -math.inf if close else right(pixels)
    return drawn


def _curve(curve: Curve, metric: Metric, right: Scale, upwards: Scale, sizes: dict[float, str]) -> Markup:
    places = [(right(pixels), upwards(value)) for pixels, value in curve.points]
    marks = [
        marker(x, y, curve.series, f"{curve.name}, {sizes[pixels]}: {metric.write(value)}")
        for (x, y), (pixels, value) in zip(places, curve.points, strict=True)
    ]
    return element("g", path(places, "line"), *marks, class_=f"s{curve.series % SERIES}")
