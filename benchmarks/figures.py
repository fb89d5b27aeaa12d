"""Figures of the newest records for the README: `python -m benchmarks.figures` (or `make docs`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from benchmarks.record import newest
from fcn_deploy.page.scale import Scale, from_zero
from fcn_deploy.page.svg import drawing, element, line, shorten, text
from fcn_deploy.system.files import write_text
from fcn_deploy.system.formatting import milliseconds

FIGURES = Path(__file__).parent / "figures"
# Suites whose rows are one question each, with the milliseconds of everybody who answered it.
SUITES = ("peers",)
WIDTH, NAMES, VALUE, LINE, HEAD, GAP = 720, 250, 60, 24, 30, 14
OURS, OTHERS = 1, 0  # series, and so colours


def figure(record: dict[str, Any]) -> Markup:
    """Draw bars of the median milliseconds, the fastest first, ours in colour; one group of bars per question."""
    heights = [HEAD + LINE * len(row["median_ms"]) + GAP for row in record["rows"]]
    scale = from_zero([ms for row in record["rows"] for ms in row["median_ms"].values()], NAMES, WIDTH - VALUE)
    groups = [_group(row, sum(heights[:place]), scale) for place, row in enumerate(record["rows"])]
    said = "; ".join(
        f"{row['question']}: " + ", ".join(f"{name} {milliseconds(ms)} ms" for name, ms in row["median_ms"].items())
        for row in record["rows"]
    )
    title = "Milliseconds from a uint8 image to uint8 labels"
    return drawing(WIDTH, sum(heights), title, f"{said}.", *groups, alone=True)


def _group(row: dict[str, Any], top: float, scale: Scale) -> Markup:
    bars = [
        _bar(name, ms, name == row["ours"], top + HEAD + LINE * place, scale)
        for place, (name, ms) in enumerate(sorted(row["median_ms"].items(), key=lambda item: item[1]))
    ]
    base = line(scale(0), top + HEAD - 4, scale(0), top + HEAD + LINE * len(bars), "base")
    return element("g", text(0, top + 18, f"{row['question']}: ms", "ink strong"), *bars, base)


def _bar(name: str, ms: float, ours: bool, top: float, scale: Scale) -> Markup:
    bar = element("rect", x=scale(0), y=top, width=scale(ms) - scale(0), height=16.0, class_="bar")
    label = text(NAMES - 8, top + 12, shorten(name, 38), "ink strong" if ours else "ink", "end")
    value = text(scale(ms) + 6, top + 12, milliseconds(ms), "ink strong" if ours else "faint")
    return element("g", label, bar, value, class_=f"s{OURS if ours else OTHERS}")


def current() -> dict[Path, str]:
    """Return each figure as it should be, for the suites that have a record."""
    records = {name: newest(name) for name in SUITES}
    return {FIGURES / f"{name}.svg": f"{figure(found)}\n" for name, found in records.items() if found is not None}


if __name__ == "__main__":
    for path, drawn in current().items():
        write_text(path, drawn)
        print(f"wrote {path.name}")
