"""Answer what a benchmark is run for: which row to ship, how much faster it is, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fcn_deploy.benchmark.gate.reference import judge_row
from fcn_deploy.benchmark.record.measurement import Agreed
from fcn_deploy.benchmark.record.summary import ClassChange, class_changes, is_reference, mean_change, reference_words
from fcn_deploy.benchmark.record.types import OpenedFile, Record, Row
from fcn_deploy.benchmark.verdicts.doubts import Doubt, doubts, lost
from fcn_deploy.benchmark.verdicts.network_sizes import SizeAnswer, size_answers
from fcn_deploy.benchmark.verdicts.speed import SpeedUp, median_ms, speed_up, timed_rows, yardstick
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.budget import AccuracyBudget, Verdict, judge_loss

# Points of mean IoU: a row that loses more is harmed.
LIMIT = 0.3
VISIBLE = 0.005  # a smaller loss of a class is written 0.00


@dataclass(frozen=True)
class HarmedRow:
    """A row that is faster than the answer and loses more points of mean IoU than the limit.

    Attributes:
        proven: whether the images exclude that it loses nothing, or with a budget, whether a limit is broken.
        reason: what became of the first limit that it does not pass; "" without a budget.
    """

    row: str
    cost: Interval
    speed_up: SpeedUp | None
    proven: bool
    reason: str = ""


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
        limits: those that the caller set, as they are typed; empty where `limit` alone holds.
        file: what the row ran, and how it is made again; None where the record does not say.
        median_ms: of one batch.
        speed_up: against PyTorch's fastest row, or where PyTorch was not timed, the reference's; None where there is
            no such row, or it is the answer.
        cost: points of mean IoU gained, so that a loss is negative; None for the reference, and where not judged.
        worst_class: the class that lost most; None where none lost 0.005 points.
        agreed: pixels with the reference's label; None for the reference itself.
        harmed: rows that are faster than the answer, the fastest first.
        sizes: what other network sizes gain and lose, each against the same runner at the first file's size.
        unknown: what the figures do not show.
    """

    row: str | None
    place: int | None
    runner: str
    judged: bool
    reference: str
    limit: float
    limits: tuple[str, ...] = ()
    file: OpenedFile | None = None
    median_ms: float | None = None
    speed_up: SpeedUp | None = None
    cost: Interval | None = None
    worst_class: ClassChange | None = None
    agreed: Agreed | None = None
    harmed: tuple[HarmedRow, ...] = ()
    sizes: tuple[SizeAnswer, ...] = ()
    unknown: tuple[Doubt, ...] = ()

    @property
    def is_reference(self) -> bool:
        """Whether the answer is what the others are compared with."""
        return self.judged and self.row is not None and self.cost is None


def answer(record: Record, budget: AccuracyBudget | None = None) -> BenchAnswer:
    """Name the fastest row that is unharmed against the reference of this record.

    Args:
        budget: what a row may lose: the row is then the fastest that passes every limit, or if none does, the fastest
            that breaks none. None: `LIMIT` points of mean IoU.
    """
    timed, judged = timed_rows(record), record.reference_accuracy(None) is not None
    found = {id(row): _judged(record, row, budget) for row in timed}
    unharmed = _unharmed(record, timed, found, budget) if judged else timed
    chosen = next(iter(unharmed), None)
    limit = LIMIT if budget is None or budget.miou_drop is None else budget.miou_drop
    faster = timed if chosen is None else timed[: timed.index(chosen)]
    shared: dict[str, Any] = {
        "judged": judged,
        "reference": reference_words(record),
        "limit": limit,
        "limits": tuple(each.words for each in budget.limits) if budget else (),
        "sizes": size_answers(record, limit),
        "harmed": tuple(_harmed(record, row, found[id(row)]) for row in faster if found[id(row)].cost is not None),
    }
    if chosen is None:
        return BenchAnswer(None, None, "", unknown=doubts(record, None, limit), **shared)
    against, cost = yardstick(record), found[id(chosen)].cost
    return BenchAnswer(
        row=chosen.name,
        place=next(place for place, row in enumerate(record.rows) if row is chosen),
        runner=chosen.runner,
        file=chosen.opened,
        median_ms=median_ms(record, chosen),
        speed_up=None if against is None or against is chosen else speed_up(record, chosen, against),
        cost=cost,
        worst_class=_worst(record, chosen),
        agreed=None if chosen.own.agreement is None else chosen.own.agreement.overall,
        unknown=doubts(record, chosen, limit, cost, unharmed[1:]),
        **shared,
    )


@dataclass(frozen=True)
class _JudgedRow:
    """What a row gained in points of mean IoU, None for the reference and where not counted; and what that means."""

    cost: Interval | None
    verdict: Verdict
    reason: str = ""


def _judged(record: Record, row: Row, budget: AccuracyBudget | None) -> _JudgedRow:
    """Judge a row by a budget, or without one by `LIMIT`: within it as measured, and as far as the images can say."""
    cost = _cost(record, row)
    if cost is None:
        return _JudgedRow(None, "passed" if is_reference(record, row) else "not judged")
    if not budget:
        verdict = judge_loss(lost(cost), LIMIT)
        return _JudgedRow(cost, "passed" if verdict != "broken" and cost.value >= -LIMIT else verdict)
    checks = judge_row(record, row, budget)
    for verdict in ("broken", "not judged"):
        for check in checks:
            if check.verdict == verdict:
                return _JudgedRow(cost, check.verdict, check.sentence)
    return _JudgedRow(cost, "passed")


def _unharmed(
    record: Record, timed: Sequence[Row], found: Mapping[int, _JudgedRow], budget: AccuracyBudget | None
) -> list[Row]:
    """Return the rows that may be shipped, the fastest first; as a gate does, those that pass before those in doubt."""
    passed = [row for row in timed if found[id(row)].verdict == "passed"]
    if not budget or any(not is_reference(record, row) for row in passed):
        return passed
    return [row for row in timed if found[id(row)].verdict != "broken"]


def _harmed(record: Record, row: Row, found: _JudgedRow) -> HarmedRow:
    against = yardstick(record)
    faster = None if against in (None, row) else speed_up(record, row, against)
    assert found.cost is not None
    return HarmedRow(row.name, found.cost, faster, found.verdict == "broken", found.reason)


def _cost(record: Record, row: Row) -> Interval | None:
    reference = record.reference_accuracy(None)
    if reference is None or row.own.accuracy is None or is_reference(record, row):
        return None
    return mean_change(reference, row.own.accuracy)


def _worst(record: Record, row: Row) -> ClassChange | None:
    worse = [found for found in class_changes(record, row) if found.change.value <= -VISIBLE]
    return min(worse, key=lambda found: found.change.value, default=None)
