"""Compute how a row's times changed between two records, on the images as they are and on resized ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fcn_deploy.benchmark.baseline.significance import Ratio, ratio
from fcn_deploy.benchmark.record.series import STEPS, Series, Values, reference_series, series
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.vocabulary import Shape, shape_text


@dataclass(frozen=True)
class SpeedChange:
    """Medians of one batch, then and now.

    Attributes:
        shape: N, H, W of resized images; None for the data set's own sizes.
        before_ms, after_ms: milliseconds by the host's clock.
        ratio: now over then; of shares of the reference's time where that was asked for.
        step: which of the three changed most in the ratio's direction.
    """

    shape: Shape | None
    before_ms: float
    after_ms: float
    ratio: Ratio
    step: str


def speed_changes(
    baseline: Record, before: Row, record: Record, row: Row, *, relative: bool = False
) -> Iterator[SpeedChange]:
    """Compare what was timed on both sides: the data set's own sizes first, then the shapes of both.

    Args:
        relative: divide each round by the reference row's of the same round; what has none there is left out.
    """
    then, now = _timed(baseline, before), _timed(record, row)
    shares_then, shares_now = _shares(baseline, then), _shares(record, now)
    for shape in now:
        change = _change(shape, then.get(shape), now[shape])
        if change is not None and relative:
            of_shares = _change(shape, shares_then.get(shape), shares_now.get(shape))
            change = None if of_shares is None else replace(change, ratio=of_shares.ratio)
        if change is not None:
            yield change


def untimed(baseline: Record, before: Row, record: Record, row: Row) -> str:
    """Name the times of the baseline that have no counterpart now; "" if all have."""
    then, now = _timed(baseline, before), _timed(record, row)
    missing = [shape for shape in then if shape not in now or not set(then[shape].shapes) & set(now[shape].shapes)]
    if not missing:
        return ""
    names = ["the data set's own sizes" if shape is None else shape_text(shape) for shape in missing]
    return f"timed in the baseline and not now: {', '.join(names)}"


def _timed(record: Record, row: Row) -> dict[Shape | None, Series]:
    found = ((measurement.shape, series(record, measurement)) for measurement in row.measurements)
    return {shape: times for shape, times in found if times is not None}


def _shares(record: Record, times: dict[Shape | None, Series]) -> dict[Shape | None, Series]:
    """Return the times as shares of the reference's, where that was timed."""
    found = ((shape, one, reference_series(record, shape)) for shape, one in times.items())
    return {shape: one.over(other) for shape, one, other in found if other is not None}


def _change(shape: Shape | None, before: Series | None, after: Series | None) -> SpeedChange | None:
    """Return None if no shape was timed on both sides."""
    if before is None or after is None or not (common := set(before.shapes) & set(after.shapes)):
        return None
    before, after = before.only(common), after.only(common)
    medians = {each: float(np.median(before.only({each}).total)) or 1.0 for each in common}
    found = ratio(_scaled(before, medians), _scaled(after, medians))
    moved = np.median(after.steps, axis=1) - np.median(before.steps, axis=1)
    step = STEPS[int(np.argmax(moved if found.value >= 1 else -moved))]
    return SpeedChange(shape, float(np.median(before.total_ms)), float(np.median(after.total_ms)), found, step)


def _scaled(times: Series, medians: dict[Shape, float]) -> Values:
    """Return times as multiples of their shape's median then, so that images of many sizes make one series."""
    return np.asarray(times.total / [medians[shape] for shape in times.shapes])
