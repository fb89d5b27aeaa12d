"""Say what a record does not show of the row that it recommends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from fcn_deploy.benchmark.baseline.significance import MIN_ROUNDS
from fcn_deploy.benchmark.record.summary import speed
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.timing.machine import contended
from fcn_deploy.benchmark.verdicts.speed import speed_ratio, timed_rows, yardstick
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.budget import judge_loss
from fcn_deploy.metrics.budget_words import doubt_words
from fcn_deploy.system.formatting import count, some

# Names in one sentence.
MOST = 4


@dataclass(frozen=True)
class Doubt:
    """One thing that is not known.

    Attributes:
        about: "busy": other processes took the cores; "rounds": too few for an interval; "unstable": the times of the
            row or of the one it is compared with; "tie": other rows that may be as fast; "alone": no other row was
            timed; "truth": there is nothing to judge the accuracy by; "images": too few to know the cost; "pytorch":
            PyTorch was not timed; "absent": rows that did not run.
    """

    about: Literal["busy", "rounds", "unstable", "tie", "alone", "truth", "images", "pytorch", "absent"]
    text: str


def doubts(
    record: Record, row: Row | None, limit: float, cost: Interval | None = None, rivals: Sequence[Row] = ()
) -> tuple[Doubt, ...]:
    """Return what is not known of `row`, which is recommended, or where it is None, of the choice; gravest first.

    Args:
        limit: points of mean IoU that the row may lose.
        cost: points of mean IoU that it gained.
        rivals: the other rows that lose no more than the limit.
    """
    found = [*_busy(record), *_truth(record), *_images(record, limit, cost)]
    if row is not None:
        found += [*_rounds(record), *_unstable(record, row), *_ties(record, row, rivals), *_pytorch(record)]
        found += _alone(record)
    return (*found, *_absent(record))


def lost(cost: Interval) -> Interval:
    """Turn points gained into points lost."""
    return Interval(-cost.value, None if cost.high is None else -cost.high, None if cost.low is None else -cost.low)


def _busy(record: Record) -> Iterator[Doubt]:
    others, cores = record.other_cores, (record.environment.get("cores") or {}).get("logical") or 0
    if others is not None and contended(others, record.settings.threads, cores):
        yield Doubt(
            "busy",
            f"how fast: other processes kept {others:.1f} of {cores} cores busy. Times are too long, those of PyTorch "
            "most of all; measure again on a quiet machine",
        )


def _truth(record: Record) -> Iterator[Doubt]:
    if record.reference_accuracy(None) is not None:
        return
    if not record.data.labelled:
        yield Doubt("truth", "what it costs in mIoU: the images have no label maps")
    elif record.reference is None:
        yield Doubt("truth", "what it costs in mIoU: there is no reference (--reference names one)")


def _images(record: Record, limit: float, cost: Interval | None) -> Iterator[Doubt]:
    if cost is None:
        return
    if cost.low is None:
        few = record.data.labelled < 2
        reason = "one image gives no interval" if few else "the record has no counts of each image"
        yield Doubt("images", f"how the cost varies: {reason}")
    elif judge_loss(lost(cost), limit) == "not judged":
        yield Doubt("images", f"whether it is unharmed: {doubt_words(lost(cost), limit, record.data.labelled)}")


def _rounds(record: Record) -> Iterator[Doubt]:
    if 0 < len(record.rounds) < MIN_ROUNDS:
        rounds = count(len(record.rounds), "round")
        yield Doubt("rounds", f"how far the times may be off: {rounds} are too few (see --seconds)")


def _unstable(record: Record, row: Row) -> Iterator[Doubt]:
    against = yardstick(record)
    rows = [row] if against is None or against is row else [row, against]
    shaky = [each.name for each in rows if (timed := speed(record, each.own)) is not None and timed.unstable]
    if shaky:
        yield Doubt("unstable", f"how fast exactly: the times of {' and '.join(shaky)} are unstable; measure again")


def _ties(record: Record, row: Row, rivals: Sequence[Row]) -> Iterator[Doubt]:
    """Name the rows that chance may have put behind the answer."""
    ratios = [(other.name, speed_ratio(record, row, other)) for other in rivals]
    close = [name for name, found in ratios if found is not None and found.low is not None and not found.longer]
    if close:
        verb = "are" if len(close) > 1 else "is"
        yield Doubt("tie", f"which is fastest: {some(close, MOST)} {verb} not distinguished from it")


def _pytorch(record: Record) -> Iterator[Doubt]:
    if yardstick(record) is None:
        yield Doubt("pytorch", "how much faster than PyTorch it is: no row of PyTorch was timed (see --runners)")


def _alone(record: Record) -> Iterator[Doubt]:
    if len(timed_rows(record)) == 1:
        yield Doubt("alone", "whether anything is faster: no other row was timed")


def _absent(record: Record) -> Iterator[Doubt]:
    absent = [row.name for row in record.rows if row.own.latency is None]
    if absent:
        yield Doubt("absent", f"how {some(absent, MOST)} would have done: not timed here")
