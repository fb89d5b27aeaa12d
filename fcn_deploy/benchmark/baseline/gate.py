"""Check a comparison against limits on how much worse a row may be than in the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fcn_deploy.benchmark.baseline.compare import AccuracyChange, Comparison, RowChange
from fcn_deploy.benchmark.baseline.speed_change import SpeedChange


@dataclass(frozen=True)
class Limits:
    """How much worse a row may be than in the baseline; None: by any amount.

    Attributes:
        miou_drop: points of mean IoU that a row may lose.
        slowdown: share of its time that a row may take longer (0.05: five per cent).
    """

    miou_drop: float | None = None
    slowdown: float | None = None


@dataclass(frozen=True)
class Violation:
    """A limit that a row breaks.

    Attributes:
        change: what is worse by more than `limit`; None: the row was measured in the baseline and could not be now.
    """

    row: RowChange
    change: AccuracyChange | SpeedChange | None = None
    limit: float = 0.0


def violations(comparison: Comparison, limits: Limits) -> list[Violation]:
    """Return every limit that a row breaks.

    A limit is broken by a change beyond it that is also more than chance explains: 95 % intervals, of times from
    blocks of rounds, of mean IoU from paired images; where there are no counts of each image, any drop beyond the limit
    breaks it. A row that was measured then and cannot be now breaks every limit.
    """
    return [violation for row in comparison.rows for violation in _broken(row, limits)]


def _broken(row: RowChange, limits: Limits) -> Iterator[Violation]:
    if row.fate == "lost" and limits != Limits():
        yield Violation(row)
    drop = row.accuracy
    if limits.miou_drop is not None and drop is not None and drop.lower and -drop.change.value > limits.miou_drop:
        yield Violation(row, drop, limits.miou_drop)
    for change in row.speed:
        if limits.slowdown is not None and change.ratio.longer and change.ratio.value > 1 + limits.slowdown:
            yield Violation(row, change, limits.slowdown)
