"""Run every hostile attempt, print what went wrong, and write the table of docs/reliability.md: `make hostile`."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.hostile.cases import all_kinds
from tests.hostile.crowd import Job, Result, run_all

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
START, END = "<!-- hostile -->", "<!-- end -->"
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


def table(old: str, new: dict[str, str]) -> str:
    """Return the lines of the table, kinds in order: new lines where there are some, else those of `old`."""
    lines = {line.split("|")[1].strip(): line for line in old.splitlines() if line.startswith("| ")} | new
    head = f"| kind | attempts | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}\n"
    return head + "".join(f"{lines[name]}\n" for name in all_kinds() if name in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=list(all_kinds()), choices=list(all_kinds()), metavar="KIND")
    parser.add_argument("--cases", default="", metavar="TEXT", help="only cases whose name has this text")
    parser.add_argument("--commands", nargs="*", metavar="COMMAND", help="only these commands")
    parser.add_argument("--limit", type=int, metavar="N", help="at most this many attempts per kind")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="write the rows into docs/reliability.md")
    given = parser.parse_args()
    failed, rows = 0, dict[str, str]()
    for kind in given.kinds:
        jobs = (
            Job(kind, case, command)
            for case, command in all_kinds()[kind].pairs()
            if given.cases in case and (given.commands is None or command in given.commands)
        )
        results = list[Result]()
        for result in run_all(itertools.islice(jobs, given.limit), given.processes):
            results.append(result)
            if result.faults:
                print(result.job, "|", "; ".join(result.faults), "|", result.reason[:200], flush=True)
        failed += sum(bool(result.faults) for result in results)
        rows[kind] = row(kind, results)
        print(rows[kind], flush=True)
    if given.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(f"{START}\n")
        old, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{START}\n{table(old, rows)}{END}{after}", encoding="utf-8")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
