"""The tables of results in README and docs, from the newest records: `python -m benchmarks.readme` (or `make docs`)."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from benchmarks.quantization_table import precision_table
from benchmarks.record import newest
from benchmarks.suite import names
from fcn_deploy.benchmark.baseline.significance import Ratio
from fcn_deploy.errors import UnknownNameError
from fcn_deploy.system.files import write_text
from fcn_deploy.system.formatting import milliseconds

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
_BLOCK = re.compile(r"(<!-- results:(?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(record: dict[str, Any]) -> str:
    """Markdown: a row a question and peer, medians and how many times as fast ours is."""
    lines = ["| what | ours, ms | the other, ms | ours is |", "|---|---|---|---|"]
    for row in record["rows"]:
        ours = row["median_ms"][row["ours"]]
        for peer, ratio in row["times_faster"].items():
            theirs = row["median_ms"][peer]
            times = f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}"
            lines.append(f"| {row['question']}, against {peer} | {ours:.2f} | {theirs:.2f} | {times} times as fast |")
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
            lines.append(
                f"| {size} | {name} | {kind} | {milliseconds(ms)} | {ratio} | {row['limit_ms'][kind] / ms:.0%} |"
            )
        lines += [f"| {size} | {name} |  | not run: {reason} |  |  |" for name, reason in row["not_run"].items()]
    return "\n".join(lines) + "\n"


def sliding_table(record: dict[str, Any]) -> str:
    """Markdown: a row a network and size; patches against one pass, in multiply-adds and in time."""
    lines = [
        "| head, image | patches | multiply-adds | work | one by one, ms | in batches, ms | one pass, ms | time |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        work, ms, faster = row["multiply_adds"], row["median_ms"], row["times_faster"]
        single, batched = faster
        counts = f"{work['patches'] / 1e9:.1f} G, {work[row['ours']] / 1e9:.2f} G"
        times = " | ".join(f"{ms[name]:.0f}" for name in (single, batched, row["ours"]))
        lines.append(
            f"| {row['question']} | {row['patches']} of {row['patch']}x{row['patch']} | {counts} | "
            f"{work['patches'] / work[row['ours']]:.0f} times | {times} | {min(faster.values()):.0f} times |"
        )
    return "\n".join(lines) + "\n" + "".join(f"\n{_agreement(row)}\n" for row in record["rows"])


def _agreement(row: dict[str, Any]) -> str:
    found, extended = row["agreement"], row["extended_by_zeros"]
    return textwrap.fill(
        f"{row['question']}: {found['scores']} scores, largest difference {found['largest_difference']:.1e} of the "
        f"largest score, {found['labels_differ']} labels differ. Zeros around the image: {extended['labels_differ']} "
        f"of {extended['scores']} border labels differ, scores by up to {extended['largest_difference']:.2f} of the "
        "largest.",
        120,
    )


def verdicts_table(record: dict[str, Any]) -> str:
    """Markdown: a row a way to compare, counted by today's rule from the ratios; what was refused is no pair."""
    lines = ["| compared | pairs | identical called equal | slower found | refused |", "|---|---|---|---|---|"]
    for row in record["rows"]:
        same, slower = ([Ratio(*found) for found in row[name]] for name in ("same", "slower"))
        equal = sum(not (found.longer or found.shorter) for found in same)
        counts = (len(same), equal, sum(found.longer for found in slower), len(row["refused"]))
        lines.append(f"| {row['question']} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines) + "\n"


def gate_table(record: dict[str, Any]) -> str:
    """Markdown: a row a pair of files and limit; classes that were judged one by one with one budget share a row."""
    lines = ["| files | limits | points allowed | should be | were |", "|---|---|---|---|---|"]
    groups: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for row in record["rows"]:
        alone = row["boundary"] or row["limit"].startswith("mIoU")
        allowed = row["allowed"] if row["files"] == "planted loss" or row["right"] == "passed" else "half"
        groups.setdefault((row["files"], allowed, row["limit"] if alone else "classes"), []).append(row)
    for (files, _, limit), rows in groups.items():
        named = limit if limit != "classes" else f"each of {len(rows)} classes"
        twice = ", twice what is allowed" if files == "planted loss" else ""
        right = [row[row["right"]] for row in rows]
        of = f" of {rows[0]['draws']}"
        allowed = _range([f"{row['allowed']:.2g}" for row in sorted(rows, key=lambda row: row["allowed"])])
        were = _range([str(count) for count in sorted(right)]) + of
        lines.append(f"| {files}{twice} | {named} | {allowed} | {rows[0]['right']} | {were} |")
    return "\n".join(lines) + "\n"


def _range(sorted_words: list[str]) -> str:
    first, last = sorted_words[0], sorted_words[-1]
    return first if first == last else f"{first} to {last}"


def choose_table(record: dict[str, Any]) -> str:
    """Markdown: the choice and the grid, what each found and its processor time."""
    lines = ["| | winner | its median, ms | processor time, s | wall time, s |", "|---|---|---|---|---|"]
    for row in record["rows"]:
        ms = next((f"{each['ms']:.2f}" for each in row["candidates"] if each["name"] == row["winner"]), "")
        seconds = f"{row['cpu_seconds']:.0f} | {row['wall_seconds']:.0f}"
        lines.append(f"| {row['what']} | {row['winner'] or 'none'} | {ms} | {seconds} |")
    return "\n".join(lines) + "\n"


def predict_table(record: dict[str, Any]) -> str:
    """Markdown: a row a model, runner and kind of results; memory at half of the images and the end."""
    if any("runner" not in row for row in record["rows"]):
        return table(record)  # of an earlier version of the suite
    lines = [
        "| model | `--runner` | ours, ms | plain loop, ms | ours is | a loop over ours, ms | same labels | MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        ms, ours = row["median_ms"], row["ours"]
        runner = row["asked"] if row["asked"] == row["runner"] else f"{row['asked']}: {row['runner']}"
        half, end = (max(peaks) / 2**20 for peaks in zip(*row["peak_bytes"][ours], strict=True))
        times = " | ".join(f"{ms[way]:.2f}" for way in (ours, "a plain loop"))
        lines.append(
            f"| {row['question']} | {runner} | {times} | {row['times_faster']['a plain loop']:.2f} times as fast | "
            f"{ms['a loop over the same runner']:.2f} | {min(row['same_labels']):.3%} | {half:.0f}, {end:.0f} |"
        )
    return "\n".join(lines) + "\n"


def slips_table(record: dict[str, Any]) -> str:
    """Markdown: how many programs of each kind there were, and what became of the name."""
    lines = ["| programs | outcome | number |", "|---|---|---|"]
    for key, number in record["counts"].items():
        programs, _, outcome = key.rpartition(": ")
        lines.append(f"| {programs} | {outcome} | {number} |")
    return "\n".join(lines) + "\n"


# By a record's "benchmark"; `table` renders all others.
TABLES = {
    "choose": choose_table,
    "engines": engines_table,
    "gate": gate_table,
    "gpu": peers_table,
    "gpudemo": peers_table,
    "peers": peers_table,
    "predict": predict_table,
    "quantization": precision_table,
    "scenes": precision_table,
    "sliding": sliding_table,
    "slips": slips_table,
    "verdicts": verdicts_table,
}


def pages() -> list[Path]:
    """README and docs: every page that may hold a block."""
    return [README, *sorted((ROOT / "docs").glob("*.md"))]


def rendered(text: str) -> str:
    """Return `text` with every block between `<!-- results:NAME -->` and `<!-- end -->` rendered again."""
    return _BLOCK.sub(lambda found: found[1] + _newest_table(found["name"]) + found[3], text)


def _newest_table(name: str) -> str:
    """Of a suite that was never recorded the command that does it."""
    if name not in names():
        raise UnknownNameError.of("suite", name, names())
    found = newest(name)
    return markdown(found) if found is not None else f"Not measured yet: `python -m benchmarks {name}`.\n"


def markdown(record: dict[str, Any]) -> str:
    """Render the table of a record, as its suite does."""
    return TABLES.get(record["benchmark"], table)(record)


if __name__ == "__main__":
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if rendered(text) != text:
            write_text(page, rendered(text))
            print(f"wrote {page.name}")
