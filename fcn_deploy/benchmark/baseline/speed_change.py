"""How a row's times changed between two records, on the images as they are and in each cell of sizes and batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.benchmark.baseline.significance import Ratio, ratio
from fcn_deploy.benchmark.record.types import Latency, Record, Row
from fcn_deploy.vocabulary import Shape, shape_text

STEPS = ("upload", "compute", "download")
Values = NDArray[np.float64]


@dataclass(frozen=True)
class SpeedChange:
    """Medians of one batch, then and now.

    Attributes:
        shape: N, H, W of a cell; None for the data set's own sizes.
        before_ms, after_ms: milliseconds by the host's clock.
        ratio: now over then; of shares of the reference's time where that was asked for.
        step: which of the three changed most in the ratio's direction.
    """

    shape: Shape | None
    before_ms: float
    after_ms: float
    ratio: Ratio
    step: str


@dataclass(frozen=True)
class Series:
    """Milliseconds float64[3, rounds] of upload, compute and download, and the shape of each round."""

    steps: Values
    shapes: tuple[Shape, ...]

    @property
    def total(self) -> Values:
        return np.asarray(self.steps.sum(axis=0))

    def only(self, shapes: set[Shape]) -> Series:
        keep = np.array([shape in shapes for shape in self.shapes], bool)
        return Series(self.steps[:, keep], tuple(shape for shape in self.shapes if shape in shapes))


def speed_changes(
    baseline: Record, before: Row, record: Record, row: Row, *, relative: bool = False
) -> tuple[SpeedChange, ...]:
    """What was timed on both sides: the own sizes first, then the cells of both.

    Args:
        relative: divide each round by the reference row's of the same round.
    """
    then, now = series_of(baseline, before), series_of(record, row)
    old_yard, new_yard = (_yardstick(side) if relative else {} for side in (baseline, record))
    changes = []
    for key in now:
        if key not in then or (relative and not (key in old_yard and key in new_yard)):
            continue
        change = _change(key, then[key], now[key])
        if change is not None and relative:
            shares = (_shares(then[key], old_yard[key]), _shares(now[key], new_yard[key]))
            relative_change = _change(key, *shares)
            change = None if relative_change is None else replace(change, ratio=relative_change.ratio)
        changes += [] if change is None else [change]
    return tuple(changes)


def untimed(baseline: Record, before: Row, record: Record, row: Row) -> str:
    """Which of the baseline's times have no counterpart now; "" if all have."""
    then, now = series_of(baseline, before), series_of(record, row)
    missing = [key for key in then if key not in now or not set(then[key].shapes) & set(now[key].shapes)]
    if not missing:
        return ""
    names = ["the data set's own sizes" if key is None else shape_text(key) for key in missing]
    return f"timed in the baseline and not now: {', '.join(names)}"


def ms_text(ms: float) -> str:
    """Three digits without an exponent: "0.0123", "21.4", "1,216"."""
    return f"{ms:,.0f}" if ms >= 1000 else f"{ms:.3g}"


def series_of(record: Record, row: Row) -> dict[Shape | None, Series]:
    """The times of a row: under None of the own sizes, under its shape of each cell."""
    found: dict[Shape | None, Series] = {}
    if row.latency is not None and record.rounds:
        found[None] = Series(_steps(row.latency), tuple(record.shapes[index] for index in record.rounds))
    for cell in row.cells:
        steps = _steps(cell.latency)
        found[cell.shape] = Series(steps, (cell.shape,) * steps.shape[1])
    return found


def reference_row(record: Record) -> Row | None:
    """The row of the reference, if it was timed."""
    name = record.reference.runner if record.reference is not None else None
    return next((row for row in record.rows if row.runner == name and row.latency is not None), None)


def _yardstick(record: Record) -> dict[Shape | None, Series]:
    row = reference_row(record)
    return {} if row is None else series_of(record, row)


def _shares(series: Series, yardstick: Series) -> Series:
    """Each round's steps over the yardstick's whole time in that round; runners in turn have as many rounds."""
    rounds = min(len(series.shapes), len(yardstick.shapes))
    return Series(series.steps[:, :rounds] / yardstick.total[:rounds], series.shapes[:rounds])


def _steps(latency: Latency) -> Values:
    return np.array([latency.upload_ns, latency.execute_ns, latency.download_ns], np.float64) / 1e6


def _change(key: Shape | None, before: Series, after: Series) -> SpeedChange | None:
    """None if no shape was timed on both sides."""
    common = set(before.shapes) & set(after.shapes)
    if not common:
        return None
    before, after = before.only(common), after.only(common)
    scale = {shape: float(np.median(before.only({shape}).total)) or 1.0 for shape in common}
    found = ratio(_scaled(before, scale), _scaled(after, scale))
    moved = np.median(after.steps, axis=1) - np.median(before.steps, axis=1)
    step = STEPS[int(np.argmax(moved if found.value >= 1 else -moved))]
    return SpeedChange(key, float(np.median(before.total)), float(np.median(after.total)), found, step)


def _scaled(series: Series, scale: dict[Shape, float]) -> Values:
    """Times as multiples of their shape's own median then, so that images of many sizes make one series."""
    return np.asarray(series.total / [scale[shape] for shape in series.shapes])
