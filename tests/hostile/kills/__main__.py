"""Stop each writing command at many moments, run it in crowds, and write the tables of it: `make hostile`."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.hostile.kills import shim
from tests.hostile.kills.attempts import KINDS, Bench
from tests.hostile.kills.commands import COMMANDS
from tests.hostile.kills.crowds import crowds, together
from tests.hostile.kills.files import scratch
from tests.hostile.kills.moments import moments

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
MOMENTS, SEED = 100, 18
Measured = tuple[int, list[list[str]]]


@contextmanager
def prepared(name: str) -> Iterator[Bench]:
    """Yield the folders and the server of a command."""
    with scratch() as folder:
        bench = Bench(COMMANDS[name], Path(folder))
        try:
            yield bench
        finally:
            bench.close()


def stopped(name: str, count: int, seed: int) -> Measured:
    """Stop a command at `count` moments; return how many of them it met, and what was wrong with each."""
    with prepared(name) as bench:
        wanted = bench.undisturbed()
        found = [bench.attempt(moment, wanted) for moment in moments(count, wanted, seed)]
    return len(found), found


def stopped_over_older(name: str, count: int, seed: int) -> Measured:
    """As `stopped`, where the outputs of the command's rival are there already; none if it has no rival."""
    if not COMMANDS[name].rival:
        return 0, []
    with prepared(name) as bench:
        wanted, old = bench.undisturbed(), bench.of_rival()
        bench.keep()
        bench.empty()
        over = bench.run()  # it may do more than a first run
        chosen = moments(count, replace(wanted, operations=over["operations"], seconds=over["seconds"]), seed)
        found = [bench.attempt(moment, wanted, old) for moment in chosen]
    return len(found), found


def crowded(name: str, count: int, seed: int) -> Measured:
    """Run a command in `count` crowds; return their number and what was wrong with each."""
    with prepared(name) as bench:
        wanted = bench.undisturbed()
        rival = bench.of_rival() if bench.command.rival else {}
        found = [together(bench, wanted, rival, crowd) for crowd in crowds(count, seed)]
    return len(found), found


TABLES: Mapping[str, Callable[[str, int, int], Measured]] = {
    "kills": stopped,
    "kills over older outputs": stopped_over_older,
    "crowds": crowded,
}


def row(name: str, count: int, found: Iterable[list[str]]) -> str:
    """Return a command's line of the table: attempts with a fault of each kind."""
    counts = Counter(kind for lines in found for kind in {line.partition(":")[0] for line in lines})
    return f"| {name} | {count} | {' | '.join(str(counts[kind]) for kind in KINDS)} |"


def write(table: str, rows: Mapping[str, str]) -> None:
    """Put rows in the place of those of the same commands in a table of the page."""
    start, end = f"<!-- {table} -->\n", f"<!-- end {table} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(start)
    lines, _, after = rest.partition(end)
    for name, line in rows.items():
        lines = re.sub(rf"^\| {re.escape(name)} \| \d.*$", line, lines, flags=re.MULTILINE)
    PAGE.write_text(before + start + lines + end + after, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS))
    parser.add_argument("--moments", type=int, default=MOMENTS, help="or crowds, of each command")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write", action="store_true", help="write the rows into docs/reliability.md")
    given = parser.parse_args()
    if why := shim.missing():
        print(why, file=sys.stderr)
        return 1
    shim.build()
    failed = False
    for table in given.tables:
        rows = dict[str, str]()
        measure = partial(TABLES[table], count=given.moments, seed=given.seed)
        with ThreadPoolExecutor(2) as pool:
            for name, (count, found) in zip(given.commands, pool.map(measure, given.commands), strict=True):
                for line in (line for lines in found for line in lines):
                    failed = True
                    print(f"{table} | {name} | {line}", flush=True)
                rows[name] = row(name, count, found)
                print(rows[name], flush=True)
        if given.write:
            write(table, rows)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
