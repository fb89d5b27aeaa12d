"""Hold what became of one limit of one row, and write the lines of those that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.budget import Judgement, Verdict

SLOWDOWN = "--max-slowdown"


@dataclass(frozen=True)
class GateCheck:
    """One limit of one row.

    Attributes:
        row: its name.
        limit: as it is typed: "--max-class-drop pole=1".
        loss: points of IoU, below 0 for a gain; None of times, and where nothing could be compared.
        sentence: what was found, on what evidence, and what is allowed.
    """

    row: str
    limit: str
    verdict: Verdict
    sentence: str
    loss: Interval | None = None

    @classmethod
    def of(cls, row: str, judged: Judgement) -> GateCheck:
        """Return a judgement of accuracy as the check of a row."""
        return cls(row, judged.limit.words, judged.verdict, judged.sentence, judged.loss)


def check_lines(checks: Sequence[GateCheck], verdict: Verdict) -> tuple[str, ...]:
    """Write "ROW: SENTENCE" for each check with this verdict; rows and limits with one sentence share a line."""
    rows: dict[str, list[str]] = {}
    for check in checks:
        if check.verdict == verdict:
            names = rows.setdefault(check.sentence, [])
            if check.row not in names:
                names.append(check.row)
    return tuple(f"{', '.join(names)}: {sentence}" for sentence, names in rows.items())
