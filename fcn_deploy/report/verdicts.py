"""The verdicts on a record as lines under its tables."""

from __future__ import annotations

from ..bench.record import Record
from ..bench.verdicts import verdicts


def verdict_lines(record: Record) -> list[str]:
    """One line for each row that was measured or made, then which precision pays, then the choice."""
    found = verdicts(record)
    lines = []
    for runner in dict.fromkeys(verdict.runner for verdict in found if verdict.about != "choice"):
        about = [verdict.text for verdict in found if verdict.runner == runner and verdict.about != "choice"]
        lines.append(f"{runner}: {'. '.join(_capital(text) if index else text for index, text in enumerate(about))}")
    return lines + [verdict.text for verdict in found if verdict.about == "choice"]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
