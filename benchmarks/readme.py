"""The README's tables of results, rendered from the newest records: `python -m benchmarks.readme` (or `make docs`)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fcn_deploy.files import write_text

from .ratio import RESULTS

README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"(<!-- results:(?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def newest(name: str, folder: Path = RESULTS) -> dict[str, Any]:
    """The record of benchmark `name` that was written last; names begin with the date and a repeat adds a number."""
    path = max(folder.glob(f"*-{name}*.json"), key=lambda path: (path.name[:10], len(path.name), path.name))
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def table(record: dict[str, Any]) -> str:
    """Markdown: a row a question and peer, medians and how many times as fast ours is."""
    lines = ["| what | ours, ms | the other, ms | ours is |", "|---|---|---|---|"]
    for row in record["rows"]:
        ours = row["median_ms"][row["ours"]]
        for peer, ratio in row["times_faster"].items():
            theirs = row["median_ms"][peer]
            lines.append(
                f"| {row['question']}, against {peer} | {ours:.2f} | {theirs:.2f} | {ratio:.1f} times as fast |"
            )
    return "\n".join(lines) + "\n"


def rendered(text: str) -> str:
    """`text` with every block between `<!-- results:NAME -->` and `<!-- end -->` made anew."""
    return _BLOCK.sub(lambda found: found[1] + table(newest(found["name"])) + found[3], text)


if __name__ == "__main__":
    write_text(README, rendered(README.read_text(encoding="utf-8")))
    print(f"wrote {README.name}")
