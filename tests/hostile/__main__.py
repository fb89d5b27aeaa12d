"""Run every hostile attempt, print what went wrong, and write the table of docs/reliability.md: `make hostile`."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.hostile.crowd import Result, run_all
from tests.hostile.jobs import CASES, MUTATED, jobs

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
MUTATIONS = 2500
COLUMNS = ("crashes", "tracebacks", "hangs", "losses", "accepted wrongly", "no reason")


def column(fault: str) -> str:
    """Return the column of the table that counts a fault."""
    for start, name in {
        "crash": "crashes", "traceback": "tracebacks", "hang": "hangs", "the user's": "losses",
        "exit code 0": "accepted wrongly",
    }.items():  # fmt: skip
        if fault.startswith(start):
            return name
    return "losses" if fault.endswith(" was left") else "no reason"


def row(kind: str, results: Iterable[Result]) -> str:
    """Return a kind's line of the table."""
    found = list(results)
    counts = Counter(column(fault) for result in found for fault in result.faults[:1])
    return f"| {kind} | {len(found)} | {' | '.join(str(counts[name]) for name in COLUMNS)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=[*CASES, MUTATED])
    parser.add_argument("--mutations", type=int, default=MUTATIONS)
    parser.add_argument("--write", action="store_true", help="write the rows into docs/reliability.md")
    given = parser.parse_args()
    failed, rows = 0, dict[str, str]()
    for kind in given.kinds:
        results = list[Result]()
        for result in run_all(jobs(kind, given.mutations)):
            results.append(result)
            if result.faults:
                print(result.job, "|", "; ".join(result.faults), "|", result.reason[:200], flush=True)
        failed += sum(bool(result.faults) for result in results)
        rows[kind] = row(kind, results)
        print(rows[kind], flush=True)
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        for kind, line in rows.items():
            page = re.sub(rf"^\| {re.escape(kind)} \|.*$", line.replace("\\", r"\\"), page, flags=re.MULTILINE)
        PAGE.write_text(page, encoding="utf-8")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
