"""Stop each writing command at many moments and write the second table of docs/reliability.md: `make hostile`."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.hostile.kills import shim
from tests.hostile.kills.attempts import KINDS, Bench, scratch
from tests.hostile.kills.commands import COMMANDS
from tests.hostile.kills.moments import moments

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
MOMENTS, SEED = 100, 18


def stopped(name: str, count: int, seed: int) -> tuple[int, list[list[str]]]:
    """Stop a command at `count` moments; return how many of them it met, and what was wrong with each."""
    with scratch() as folder:
        bench = Bench(COMMANDS[name], Path(folder))
        try:
            wanted = bench.undisturbed()
            found = [bench.attempt(moment, wanted) for moment in moments(count, wanted, seed)]
        finally:
            bench.close()
    return len(found), found


def row(name: str, count: int, found: Iterable[list[str]]) -> str:
    """Return a command's line of the table: attempts with a fault of each kind."""
    counts = Counter(kind for lines in found for kind in {line.partition(":")[0] for line in lines})
    return f"| {name} | {count} | {' | '.join(str(counts[kind]) for kind in KINDS)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS))
    parser.add_argument("--moments", type=int, default=MOMENTS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write", action="store_true", help="write the rows into docs/reliability.md")
    given = parser.parse_args()
    if why := shim.missing():
        print(why, file=sys.stderr)
        return 1
    shim.build()
    failed, rows = False, dict[str, str]()
    with ThreadPoolExecutor(2) as pool:
        for name, (count, found) in zip(
            given.commands,
            pool.map(partial(stopped, count=given.moments, seed=given.seed), given.commands),
            strict=True,
        ):
            for line in (line for lines in found for line in lines):
                failed = True
                print(f"{name} | {line}", flush=True)
            rows[name] = row(name, count, found)
            print(rows[name], flush=True)
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        for name, line in rows.items():
            page = re.sub(rf"^\| {re.escape(name)} \| \d.*$", line, page, flags=re.MULTILINE)
        PAGE.write_text(page, encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
