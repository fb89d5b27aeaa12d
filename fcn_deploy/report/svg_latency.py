"""How the latencies of each row are spread, all on one axis."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ..bench.record import Record
from ..bench.summary import total_ms
from .svg import SERIES, WIDTH, drawing, element, line, path, shorten, text
from .svg_scale import Scale, across, positive
from .text import milliseconds

STRIP, RIDGE, TOP, BOTTOM = 48, 24, 6, 34
BINS = 72
FEW = 40  # samples; fewer say nothing of a density and are drawn one by one alone


def latency_plot(record: Record, width: int = WIDTH, *, alone: bool = False) -> Markup | None:
    """A strip for each row that was timed: density of its rounds, every round as a tick, p50 p90 p99; None without."""
    timed = [(index, row.runner, total_ms(row.latency)) for index, row in enumerate(record.rows) if row.latency]
    timed = [(index, name, total) for index, name, total in timed if len(total)]
    if not timed:
        return None
    height = TOP + STRIP * len(timed) + BOTTOM
    scale = positive([float(edge) for *_, total in timed for edge in (total.min(), total.max())], 8, width - 8)
    strips = [
        _strip(index, name, total, scale, TOP + STRIP * place) for place, (index, name, total) in enumerate(timed)
    ]
    medians = "; ".join(f"{name} {milliseconds(float(np.median(total)))} ms" for _, name, total in timed)
    return drawing(
        width, height, "Latency of each round", f"Medians: {medians}.",
        across(scale, TOP, height - BOTTOM), *strips,
        text(width - 8, height - 4, _unit(record, scale), "faint small", "end"), alone=alone,
    )  # fmt: skip


def _unit(record: Record, scale: Scale) -> str:
    images = "an image" if record.settings.batch == 1 else f"a batch of {record.settings.batch}"
    return f"ms for {images}{', logarithmic' if scale.log else ''}"


def _strip(index: int, name: str, total: NDArray[np.float64], scale: Scale, top: float) -> Markup:
    p50, p90, p99 = (float(value) for value in np.percentile(total, (50, 90, 99)))
    base = top + STRIP - 6
    figures = f"{milliseconds(p50)} · {milliseconds(p90)} · {milliseconds(p99)}"
    hint = (
        f"{name}: p50 {milliseconds(p50)}, p90 {milliseconds(p90)}, p99 {milliseconds(p99)} ms in {len(total)} rounds"
    )
    ridge = [path(_ridge(total, scale, base), "area")] if len(total) >= FEW else []
    ticks = [line(scale(value), base, scale(value), base + 4, "tick") for value in np.unique(total.round(3))]
    marks = [
        line(scale(value), base - height, scale(value), base + 1, "whisker")
        for value, height in ((p50, RIDGE), (p90, RIDGE / 2), (p99, RIDGE / 3))
    ]
    return element(
        "g", element("title", hint), text(8, top + 13, shorten(name, 28), "ink strong"),
        text(scale.end, top + 13, figures, "ink small", "end"), *ridge, *ticks, *marks, class_=f"s{index % SERIES}",
    )  # fmt: skip


def _ridge(total: NDArray[np.float64], scale: Scale, base: float) -> list[tuple[float, float]]:
    """The outline of a smoothed histogram in pixels, highest at RIDGE."""
    places = np.array([scale(float(value)) for value in total])
    counts, edges = np.histogram(places, BINS, (scale.start, scale.end))
    smooth = np.convolve(counts, (1, 2, 3, 2, 1), "same").astype(np.float64)
    middles, shown = (edges[1:] + edges[:-1]) / 2, np.flatnonzero(smooth)
    first, last = shown[0], shown[-1] + 1
    heights = base - RIDGE * smooth[first:last] / smooth.max()
    outline = list(zip(middles[first:last].tolist(), heights.tolist(), strict=True))
    return [(outline[0][0], base), *outline, (outline[-1][0], base)]
