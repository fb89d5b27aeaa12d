"""Answer what a benchmark is run for: which row to ship, how much faster it is, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_deploy.benchmark.record.measurement import Agreed
from fcn_deploy.benchmark.record.summary import ClassChange, class_changes, is_reference, mean_change, reference_words
from fcn_deploy.benchmark.record.types import OpenedFile, Record, Row
from fcn_deploy.benchmark.verdicts.doubts import Doubt, doubts, lost
from fcn_deploy.benchmark.verdicts.speed import SpeedUp, median_ms, speed_up, timed_rows, yardstick
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.budget import judge_loss

# Points of mean IoU: a row that loses more is harmed.
LIMIT = 0.3
VISIBLE = 0.005  # a smaller loss of a class is written 0.00


@dataclass(frozen=True)
class HarmedRow:
    """A row that is faster than the answer and loses more points of mean IoU than the limit.

    Attributes:
        proven: whether the images exclude that it loses nothing.
    """

    row: str
    cost: Interval
    speed_up: SpeedUp | None
    proven: bool


@dataclass(frozen=True)
class BenchAnswer:
    """Which row to ship, and what is known of it.

    Attributes:
        row: the name of the fastest row that loses at most `limit` points of mean IoU; where no row could be judged,
            of the fastest; None where no row was timed or every one loses more.
        place: of that row in the record; `runner`: without the file's label.
        judged: whether mean IoU was compared with a reference: the images have labels, and there is a reference.
        reference: what labels and mean IoU are compared with, in words.
        limit: points of mean IoU.
        file: what the row ran, and how it is made again; None where the record does not say.
        median_ms: of one batch.
        speed_up: against PyTorch's fastest row, or where PyTorch was not timed, the reference's; None where there is
            no such row, or it is the answer.
        cost: points of mean IoU gained, so that a loss is negative; None for the reference, and where not judged.
        worst_class: the class that lost most; None where none lost 0.005 points.
        agreed: pixels with the reference's label; None for the reference itself.
        harmed: rows that are faster than the answer, the fastest first.
        unknown: what the figures do not show.
    """

    row: str | None
    place: int | None
    runner: str
    judged: bool
    reference: str
    limit: float
    file: OpenedFile | None = None
    median_ms: float | None = None
    speed_up: SpeedUp | None = None
    cost: Interval | None = None
    worst_class: ClassChange | None = None
    agreed: Agreed | None = None
    harmed: tuple[HarmedRow, ...] = ()
    unknown: tuple[Doubt, ...] = ()

    @property
    def is_reference(self) -> bool:
        """Whether the answer is what the others are compared with."""
        return self.judged and self.row is not None and self.cost is None


def answer(record: Record, limit: float = LIMIT) -> BenchAnswer:
    """Name the fastest row that loses at most `limit` points of mean IoU against the reference of this record."""
    timed, judged = timed_rows(record), record.reference_accuracy(None) is not None
    costs = {id(row): _cost(record, row) for row in timed}
    unharmed = [row for row in timed if not judged or _unharmed(record, row, costs[id(row)], limit)]
    chosen = next(iter(unharmed), None)
    against = yardstick(record)
    faster = timed if chosen is None else timed[: timed.index(chosen)]
    harmed = tuple(
        HarmedRow(
            row.name,
            cost,
            None if against in (None, row) else speed_up(record, row, against),
            proven=judge_loss(lost(cost), limit) == "broken",
        )
        for row in faster
        if (cost := costs[id(row)]) is not None
    )
    words = reference_words(record)
    if chosen is None:
        return BenchAnswer(None, None, "", judged, words, limit, harmed=harmed, unknown=doubts(record, None, limit))
    cost = costs[id(chosen)]
    return BenchAnswer(
        row=chosen.name,
        place=next(place for place, row in enumerate(record.rows) if row is chosen),
        runner=chosen.runner,
        judged=judged,
        reference=words,
        limit=limit,
        file=chosen.opened,
        median_ms=median_ms(record, chosen),
        speed_up=None if against is None or against is chosen else speed_up(record, chosen, against),
        cost=cost,
        worst_class=_worst(record, chosen),
        agreed=None if chosen.own.agreement is None else chosen.own.agreement.overall,
        harmed=harmed,
        unknown=doubts(record, chosen, limit, cost, unharmed[1:]),
    )


def _cost(record: Record, row: Row) -> Interval | None:
    reference = record.reference_accuracy(None)
    if reference is None or row.own.accuracy is None or is_reference(record, row):
        return None
    return mean_change(reference, row.own.accuracy)


def _unharmed(record: Record, row: Row, cost: Interval | None, limit: float) -> bool:
    """Whether a row stays within the limit, as far as the images can say: the rule is that of `metrics.budget`."""
    if cost is None:
        return is_reference(record, row)
    return cost.value >= -limit and judge_loss(lost(cost), limit) != "broken"


def _worst(record: Record, row: Row) -> ClassChange | None:
    worse = [found for found in class_changes(record, row) if found.change.value <= -VISIBLE]
    return min(worse, key=lambda found: found.change.value, default=None)
