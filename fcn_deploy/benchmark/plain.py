"""Return a record, with or without its comparison with a baseline, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fcn_deploy.benchmark.record.summary import summarise
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.verdicts.answer import answer
from fcn_deploy.system.serialization.plain import plain

if TYPE_CHECKING:
    from fcn_deploy.benchmark.baseline.compare import Comparison
    from fcn_deploy.benchmark.gate.result import GateResult
    from fcn_deploy.metrics.budget import AccuracyBudget

SCHEMA = 3


def to_plain(
    record: Record,
    comparison: Comparison | None = None,
    gate: GateResult | None = None,
    budget: AccuracyBudget | None = None,
) -> dict[str, Any]:
    """Return the record as JSON holds it; samples in nanoseconds.

    The record gets an `answer`, a `comparison` and a `gate`, and each measurement a `summary`, for readers without this
    package: none of them is read back. `budget`: what the answer is judged by; None: the usual limit of mean IoU.
    """
    head = {"schema": SCHEMA, "kind": "bench", "answer": plain(answer(record, budget))}
    whole: dict[str, Any] = head | plain(record)
    for row, source in zip(whole["rows"], record.rows, strict=True):
        for measurement, measured in zip(row["measurements"], source.measurements, strict=True):
            measurement["summary"] = plain(summarise(record, measured))
    compared = {} if comparison is None else {"comparison": plain(comparison)}
    return whole | compared | ({} if gate is None else {"gate": gate.to_plain()})
