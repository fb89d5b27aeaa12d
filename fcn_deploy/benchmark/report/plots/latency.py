"""Draw how the latencies of each row are spread, all on one axis of multiples of the row's own median.

On an axis of milliseconds a runner ten times as fast would be a line; where the medians lie is another plot's matter.
"""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from fcn_deploy.benchmark.record.series import series
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.page.scale import Scale, across
from fcn_deploy.page.svg import SERIES, WIDTH, drawing, element, fitted, line, path, text
from fcn_deploy.system.formatting import count, milliseconds

STRIP, RIDGE, TOP, BOTTOM = 56, 28, 6, 36
BINS = 60
FEW = 40  # samples; fewer say nothing of a density and are drawn one by one alone
# The axis ends at the largest p99, within these; a round beyond it is counted and not drawn.
LEAST, MOST = 1.1, 3.0
Times = NDArray[np.float64]


def latency_plot(record: Record, width: int = WIDTH, *, alone: bool = False) -> Markup | None:
    """Draw a strip for each timed row: density of its rounds, every round as a tick, p50 p90 p99; None without rows."""
    found = [(index, row.name, series(record, row.own)) for index, row in enumerate(record.rows)]
    timed = [(index, name, times.total_ms) for index, name, times in found if times is not None]
    if not timed:
        return None
    height = TOP + STRIP * len(timed) + BOTTOM
    scale = _scale([total for *_, total in timed], width)
    strips = [
        _strip(index, name, total, scale, TOP + STRIP * place) for place, (index, name, total) in enumerate(timed)
    ]
    medians = "; ".join(f"{name} {milliseconds(float(np.median(total)))} ms" for _, name, total in timed)
    return drawing(
        width, height, "Latency of each round", f"Medians: {medians}.",
        across(scale, TOP, height - BOTTOM), *strips,
        text(width - 8, height - 4, "times the row's median", "faint small", "end"),
        alone=alone,
    )  # fmt: skip


def _scale(totals: list[Times], width: int) -> Scale:
    relative = [total / np.median(total) for total in totals]
    low = min(float(part.min()) for part in relative)
    high = max(float(np.percentile(part, 99) if len(part) >= FEW else part.max()) for part in relative)
    return Scale(max(0.0, min(low, 2 - LEAST) - 0.02), min(MOST, max(LEAST, high + 0.02)), 8, width - 8)


def _strip(index: int, name: str, total: Times, scale: Scale, top: float) -> Markup:
    p50, p90, p99 = (float(value) for value in np.percentile(total, (50, 90, 99)))
    base, within = top + STRIP - 8, total[total <= scale.high * np.median(total)]
    hint = (
        f"{name}: p50 {milliseconds(p50)}, p90 {milliseconds(p90)}, p99 {milliseconds(p99)} ms in {len(total)} rounds"
    )
    drawn = [path(_ridge(within / p50, scale, base), "area")] if len(within) >= FEW else []
    places = map(scale, np.unique((within / p50).round(3)))
    drawn += [line(x, base + 1, x, base + 5, "tick") for x in places]
    drawn += [
        line(scale(value / p50), base - height, scale(value / p50), base + 1, "whisker")
        for value, height in ((p50, RIDGE), (p90, RIDGE / 2), (p99, RIDGE / 3))
        if value / p50 <= scale.high
    ]
    if beyond := len(total) - len(within):
        words = f"{count(beyond, 'round')} beyond, up to {milliseconds(float(total.max()))} →"
        drawn.append(text(scale.end, top + 28, words, "faint small", "end"))
    return element(
        "g", element("title", hint), text(8, top + 13, fitted(name, scale.end - 40), "ink"), *drawn,
        class_=f"s{index % SERIES}",
    )  # fmt: skip


def _ridge(relative: Times, scale: Scale, base: float) -> list[tuple[float, float]]:
    """Return the outline of a smoothed histogram in pixels, highest at RIDGE."""
    counts, edges = np.histogram(relative, BINS, (scale.low, scale.high))
    smooth = np.convolve(counts, (1, 2, 1), "same").astype(np.float64)
    shown = np.flatnonzero(smooth)
    middles = [scale(float(value)) for value in (edges[1:] + edges[:-1]) / 2]
    outline = [(middles[i], base - RIDGE * float(smooth[i] / smooth.max())) for i in range(shown[0], shown[-1] + 1)]
    return [(outline[0][0], base), *outline, (outline[-1][0], base)]
