"""Compare two records, row by row, and judge the changes by limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fcn_deploy.benchmark.baseline.changes import AccuracyChange, RowChange
from fcn_deploy.benchmark.baseline.comparable import check_same, obstacle_to_speed, remarks
from fcn_deploy.benchmark.baseline.limits import AccuracyPair, JudgedAgainst, Limits, check_row
from fcn_deploy.benchmark.baseline.significance import Ratio
from fcn_deploy.benchmark.baseline.speed_change import speed_changes, untimed
from fcn_deploy.benchmark.gate.checks import GateCheck, check_lines
from fcn_deploy.benchmark.record.measurement import Accuracy
from fcn_deploy.benchmark.record.summary import mean_change
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.errors import RecordError
from fcn_deploy.metrics.scores import scores

NO_LIMITS = Limits()


@dataclass(frozen=True)
class Comparison:
    """The changes of all rows, and what a reader must know.

    Attributes:
        created: when the baseline was measured.
        relative: whether times are compared as shares of the reference's in the same rounds.
        reference: the reference row's name and how its own time changed; None where it was not timed on both sides.
        no_speed: why times are not compared; "" if they are.
        remarks: what else differs between the two runs.
        checks: what became of each limit of each row.
    """

    created: str
    relative: bool
    reference: tuple[str, Ratio] | None
    no_speed: str
    remarks: tuple[str, ...]
    rows: tuple[RowChange, ...]
    checks: tuple[GateCheck, ...] = ()

    @property
    def broken(self) -> tuple[str, ...]:
        """A line for each limit that a row breaks: which row, by how much, on what evidence."""
        return check_lines(self.checks, "broken")

    @property
    def unjudged(self) -> tuple[str, ...]:
        """A line for each limit that could not be judged, and why."""
        return check_lines(self.checks, "not judged")

    @property
    def worse(self) -> bool:
        """Whether a row got worse by more than the limits allow."""
        return bool(self.broken)


def compare_records(
    baseline: Record, record: Record, *, relative: bool = False, limits: Limits = NO_LIMITS
) -> Comparison:
    """Compare `record` with `baseline`, of this model or of another one; nothing is measured.

    Args:
        relative: compare times as shares of the reference row's in the same rounds, for machines whose speed varies.
        limits: how much worse a row may be.

    Raises:
        RecordError: the baseline is of other classes or other data; or `relative`, and a side has no such row.
        UnknownNameError: a limit is on a class that is not there.
    """
    check_same(baseline, record)
    limits.accuracy.check(record.data.classes)
    no_speed = obstacle_to_speed(baseline, record)
    for side, name in ((baseline, "the baseline"), (record, "this run")):
        if relative and not no_speed and side.reference_row() is None:
            raise RecordError(f"{name} has no timed row of PyTorch to measure by; have pytorch among --runners")
    rows = tuple(_changes(baseline, record, timed=not no_speed, relative=relative))
    reference = None if no_speed else _reference_change(baseline, record)
    against = reference[0] if relative and reference else ""
    judged = JudgedAgainst(limits, record.data.classes, no_speed, against)
    pairs = _accuracies(baseline, record)
    checks = tuple(check for row, pair in zip(rows, pairs, strict=True) for check in check_row(row, pair, judged))
    return Comparison(baseline.created, relative, reference, no_speed, tuple(remarks(baseline, record)), rows, checks)


def _accuracies(baseline: Record, record: Record) -> Iterator[AccuracyPair]:
    """Yield the accuracy then and now of each row, in the order of `_changes`."""
    then, now = _by_name(baseline), _by_name(record)
    for key in (*now, *(key for key in then if key not in now)):
        before, after = then.get(key), now.get(key)
        yield None if before is None else before.own.accuracy, None if after is None else after.own.accuracy


def _changes(baseline: Record, record: Record, *, timed: bool, relative: bool) -> Iterator[RowChange]:
    then, now = _by_name(baseline), _by_name(record)
    for key, row in now.items():
        before = then.get(key)
        if before is None:
            yield RowChange(row.name, "new", "not in the baseline")
        elif before.status != "ok":
            yield RowChange(row.name, "new", f"{before.status} in the baseline: {before.reason}")
        elif row.status != "ok":
            yield RowChange(row.name, "lost", f"measured in the baseline, {row.status} now: {row.reason}")
        else:
            speed = tuple(speed_changes(baseline, before, record, row, relative=relative)) if timed else ()
            missing = untimed(baseline, before, record, row) if timed else ""
            yield RowChange(
                row.name, "compared", missing, speed, accuracy_change(before.own.accuracy, row.own.accuracy)
            )
    for key, row in then.items():
        if key not in now:
            yield RowChange(row.name, "gone", "in the baseline, and not in this run")


def _by_name(record: Record) -> dict[tuple[str, int], Row]:
    """Map each row by its runner and its position among rows of that runner, from 0."""
    rows: dict[tuple[str, int], Row] = {}
    for row in record.rows:
        rows[row.name, sum(name == row.name for name, _ in rows)] = row
    return rows


def accuracy_change(before: Accuracy | None, after: Accuracy | None) -> AccuracyChange | None:
    """Return None unless both have a ground truth; it is the same one, see `check_same`."""
    if before is None or after is None:
        return None
    old, new = (100 * scores(np.array(side.overall, np.int64)).mean_iou for side in (before, after))
    return AccuracyChange(old, new, mean_change(before, after))


def _reference_change(baseline: Record, record: Record) -> tuple[str, Ratio] | None:
    before, after = baseline.reference_row(), record.reference_row()
    if before is None or after is None:
        return None
    change = next(speed_changes(baseline, before, record, after), None)
    return None if change is None else (after.name, change.ratio)
