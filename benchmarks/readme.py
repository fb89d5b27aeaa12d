"""The README's tables of results, rendered from the newest records: `python -m benchmarks.readme` (or `make docs`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fcn_deploy.files import write_text
from fcn_deploy.report.text import points, share

from .record import newest

README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"(<!-- results:(?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


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


def accuracy_table(record: dict[str, Any]) -> str:
    """Markdown: a row a file, in points against the first, with the intervals that the record holds."""
    lines = ["| file | mIoU | Δ (95 % interval) | boundary Δ | same labels | MB |", "|---|---|---|---|---|---|"]
    for index, row in enumerate(record["rows"]):
        change, boundary = (_change(*row[name]) if index else "" for name in ("change", "boundary_change"))
        same = f"{share(*row['same_labels'])} %" if index else ""
        size = row["bytes"] / 1e6
        lines.append(f"| {row['name']} | {row['mean_iou']:.2f} | {change} | {boundary} | {same} | {size:.1f} |")
    return "\n".join(lines) + "\n"


def engines_table(record: dict[str, Any]) -> str:
    """Markdown: a row a file; ours first, then the peer, in each pair. Memory is that of all processes together."""
    lines = ["| network | ONNX, MB | engine, MB | built in, s | peak memory, MB |", "|---|---|---|---|---|"]
    for row in record["rows"]:
        (peer,) = row["times_faster"]
        seconds = ", ".join(f"{row['median_ms'][name] / 1e3:.1f}" for name in (row["ours"], peer))
        memory = ", ".join(f"{row['peak_bytes'][name] / 1e6:.0f}" for name in (row["ours"], peer))
        sizes = f"{row['onnx_bytes'] / 1e6:.1f} | {row['engine_bytes'][row['ours']] / 1e6:.1f}"
        lines.append(f"| {row['question']} | {sizes} | {seconds} | {memory} |")
    return "\n".join(lines) + "\n"


def peers_table(record: dict[str, Any]) -> str:
    """Markdown: a row a size and program; the last column is the machine's limit in the row's type over its time."""
    lines = ["| image | program | computes in | ms | ours is | of the limit |", "|---|---|---|---|---|---|"]
    for row in record["rows"]:
        size = row["question"].split(", ")[2]
        for name, ms in row["median_ms"].items():
            ratio = f"{row['times_faster'][name]:.1f} times as fast" if name != row["ours"] else "**ours**"
            kind = row["computes_in"][name]
            lines.append(f"| {size} | {name} | {kind} | {ms:.0f} | {ratio} | {row['limit_ms'][kind] / ms:.0%} |")
        lines += [f"| {size} | {name} |  | not run: {reason} |  |  |" for name, reason in row["not_run"].items()]
    return "\n".join(lines) + "\n"


def verdicts_table(record: dict[str, Any]) -> str:
    """Markdown: a row a way to compare; what was refused is not among the pairs."""
    lines = ["| compared | pairs | identical called equal | slower found | refused |", "|---|---|---|---|---|"]
    for row in record["rows"]:
        counts = (row["pairs"], row["equal"], row["found"], len(row["refused"]))
        lines.append(f"| {row['question']} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines) + "\n"


def _change(value: float, low: float | None, high: float | None) -> str:
    return points(value) + ("" if low is None or high is None else f" ({low:+.2f} to {high:+.2f})")


# By a record's "benchmark"; `table` renders all others.
TABLES = {"engines": engines_table, "peers": peers_table, "quantization": accuracy_table, "verdicts": verdicts_table}


def rendered(text: str) -> str:
    """`text` with every block between `<!-- results:NAME -->` and `<!-- end -->` made anew."""
    return _BLOCK.sub(lambda found: found[1] + markdown(newest(found["name"])) + found[3], text)


def markdown(record: dict[str, Any]) -> str:
    """The table of a record, by its suite."""
    return TABLES.get(record["benchmark"], table)(record)


if __name__ == "__main__":
    write_text(README, rendered(README.read_text(encoding="utf-8")))
    print(f"wrote {README.name}")
