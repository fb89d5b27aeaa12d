"""Judge the rows of a record by a budget, against the reference of the same run."""

from __future__ import annotations

from collections.abc import Iterator

from fcn_deploy.benchmark.gate.checks import GateCheck
from fcn_deploy.benchmark.record.accuracy import image_counts
from fcn_deploy.benchmark.record.summary import is_reference, reference_words
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.metrics.budget import AccuracyBudget, Judgement, judge, not_judged


def checks_against_reference(record: Record, budget: AccuracyBudget) -> tuple[GateCheck, ...]:
    """Judge every row but the reference by every limit.

    Raises:
        UnknownNameError: a limit is on a class that the record does not have.
    """
    budget.check(record.data.classes)
    rows = [row for row in record.rows if not is_reference(record, row)]
    if not rows:
        reason = f"there is no row to compare with {reference_words(record)} (--runners)"
        return tuple(GateCheck.of(row.name, judged) for row in record.rows for judged in not_judged(budget, reason))
    return tuple(_checks(record, rows, budget))


def judge_row(record: Record, row: Row, budget: AccuracyBudget) -> tuple[Judgement, ...]:
    """Judge one row against the reference; not judged, with the reason, where there is nothing to compare."""
    reference = record.reference_accuracy(None)
    if row.status != "ok":
        return not_judged(budget, f"{row.status}: {row.reason}")
    if not record.data.labelled:
        return not_judged(budget, "the images have no label maps")
    if reference is None:
        return not_judged(budget, f"there is no reference ({record.reference_reason})")
    if row.own.accuracy is None:
        return not_judged(budget, "its labels were not counted")
    return judge(image_counts(reference), image_counts(row.own.accuracy), budget, record.data.classes)


def _checks(record: Record, rows: list[Row], budget: AccuracyBudget) -> Iterator[GateCheck]:
    for row in rows:
        for judged in judge_row(record, row, budget):
            yield GateCheck.of(row.name, judged)
