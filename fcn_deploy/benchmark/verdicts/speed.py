"""Compare the times of two rows of one record."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fcn_deploy.benchmark.baseline.significance import Ratio, paired_ratio, ratio
from fcn_deploy.benchmark.record.series import series
from fcn_deploy.benchmark.record.summary import speed
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.runners.registry import REFERENCE
from fcn_deploy.system.formatting import factor

WIDE = 20


@dataclass(frozen=True)
class SpeedUp:
    """How many times as fast as the row `than`; the 95 % interval is None after fewer than 8 rounds."""

    value: float
    low: float | None
    high: float | None
    than: str

    @classmethod
    def of(cls, quotient: Ratio, than: str) -> SpeedUp:
        """Turn a ratio of times around."""
        low, high = quotient.low, quotient.high
        return cls(1 / quotient.value, None if high is None else 1 / high, None if low is None else 1 / low, than)

    @property
    def is_wide(self) -> bool:
        """Whether the digits of the interval say nothing, as its ends are further apart than `WIDE` times."""
        return self.low is not None and self.high is not None and self.high > WIDE * self.low

    def __str__(self) -> str:
        ends = "" if self.low is None or self.high is None else f" ({factor(self.low)} to {factor(self.high)})"
        ends = f" (not known within a factor of {WIDE})" if self.is_wide else ends
        return f"{factor(self.value)} times as fast as {self.than}{ends}"


def median_ms(record: Record, row: Row) -> float | None:
    """Return the median of a row on the data set's own sizes; None if it was not timed."""
    own = series(record, row.own)
    return None if own is None else float(np.median(own.total_ms))


def timed_rows(record: Record) -> list[Row]:
    """Return the rows that were timed on the data set's own sizes, the fastest first."""
    found = [(median, place) for place, row in enumerate(record.rows) if (median := median_ms(record, row)) is not None]
    return [record.rows[place] for _, place in sorted(found)]


def speed_ratio(record: Record, before: Row, after: Row) -> Ratio | None:
    """Divide the time of `after` by that of `before`, round by round, because they took turns; None if not timed.

    Isolated runners take turns too.
    """
    first, second = (series(record, row.own) for row in (before, after))
    if first is None or second is None:
        return None
    if len(first.shapes) != len(second.shapes):
        return ratio(first.total, second.total)
    return paired_ratio(first.total, second.total)


def speed_up(record: Record, row: Row, than: Row) -> SpeedUp | None:
    """Return how many times as fast as the row `than` a row is; None if one of them was not timed."""
    quotient = speed_ratio(record, than, row)
    if quotient is None:
        return None
    found, timed = SpeedUp.of(quotient, than.name), speed(record, row.own)
    if than is record.reference_row() and timed is not None and timed.times_reference is not None:
        return replace(found, value=timed.times_reference)  # of an even number of rounds two medians differ by a little
    return found


def yardstick(record: Record) -> Row | None:
    """Return the row whose time the others are compared with: PyTorch's fastest, else the reference's; None if neither.

    PyTorch's rows are those of the first file.
    """
    timed = timed_rows(record)
    own = (row for row in timed if row.file == record.model.label and row.runner.partition(":")[0] == REFERENCE)
    return next(own, record.reference_row())
