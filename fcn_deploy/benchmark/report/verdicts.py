"""The verdicts on a record as lines under its tables."""

from __future__ import annotations

from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.verdicts.verdicts import verdicts


def verdict_lines(record: Record) -> list[str]:
    """One line for each row that was measured or made, then which precision pays, then the choice."""
    found = verdicts(record)
    lines = []
    for place, row in enumerate(record.rows):
        about = [verdict.text for verdict in found if verdict.row == place and verdict.about != "choice"]
        if about:
            lines.append(f"{row.runner}: {'. '.join([about[0], *map(_capital, about[1:])])}")
    return lines + [verdict.text for verdict in found if verdict.about == "choice"]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
