"""Build the badge of the page, the gate's PASS or FAIL, and the table of its limits."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_deploy.benchmark.gate.result import GateResult
from fcn_deploy.benchmark.report.sheets import Sheet


@dataclass(frozen=True)
class Badge:
    """The result of the limits: "PASS" or "FAIL", what decided, and "passed", "doubtful" or "broken" for its colour."""

    word: str
    reason: str
    kind: str


def badge(gate: GateResult) -> Badge:
    """Return the badge of a gate; in doubt where a limit that matters was not judged."""
    word, _, reason = gate.line.partition(": ")
    kind = "doubtful" if gate.doubtful and not gate.broken else "broken" if gate.exit_code else "passed"
    return Badge(word, reason.replace("see above", "see Limits"), kind)


def limits_sheet(gate: GateResult) -> Sheet:
    """Return every limit of every row with what became of it, and the rows that failed."""
    rows, last = list[tuple[str, ...]](), ""
    for each in gate.checks:
        # The name is next to the row's first limit alone.
        rows.append(("" if each.row == last else each.row, each.verdict, each.limit, each.sentence))
        last = each.row
    for line in gate.errors:
        row, _, reason = line.split(": ", 2)
        rows.append((row, "failed", "it has to run", reason))
    return Sheet("Limits", ("runner", "", "limit", f"against {gate.against}"), tuple(rows), words=(0, 1, 2, 3))
