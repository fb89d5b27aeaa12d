"""Render the contents of a data set as a table and lines."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fcn_deploy.data.survey import percent
from fcn_deploy.data_check.check import DataReport
from fcn_deploy.system.formatting import bare_table, count

_SHOWN = 5  # problems and sizes that are listed


def render(report: DataReport) -> RenderableType:
    """Return pairs, sizes, the share of each class, and what is wrong."""
    lines = [
        f"{report.data}: {count(report.images, 'image')}, {count(report.counts.maps, 'label map')}",
        f"sizes: {_sizes(report)}",
    ]
    parts: list[RenderableType] = [Text(line) for line in lines]
    if report.counts.maps:
        parts += ["", _classes(report)]
    after = [*report.notes, *report.remarks]
    parts += ["", *(Text(line) for line in after)] if after else []
    parts += ["", *(Text(line) for line in _problems(report))]
    return Group(*parts)


def _sizes(report: DataReport) -> str:
    shown = [f"{w} x {h} ({count(number, 'image')})" for (h, w), number in report.sizes.most_common(_SHOWN)]
    more = len(report.sizes) - _SHOWN
    return ", ".join([*shown, *([f"and {count(more, 'other size')}"] if more > 0 else [])]) + ", width x height"


def _classes(report: DataReport) -> Table:
    counts = report.counts
    table = bare_table()
    for title in ("label", "class", "pixels", "images with it"):
        table.add_column(title, justify="left" if title == "class" else "right", overflow="fold")
    for label, name in enumerate(counts.classes):
        if report.named or counts.pixels[label]:
            shown = name if report.named else ""
            table.add_row(str(label), shown, percent(counts.pixels[label], counts.total), str(counts.images[label]))
    if report.named:
        table.add_row("", "unlabelled", percent(counts.unlabelled.total(), counts.total), "")
    return table


def _problems(report: DataReport) -> list[str]:
    if not report.problems:
        return ["no problem found" + ("; check the remarks above" if report.remarks else "")]
    shown = [f"problem: {each}" for each in report.problems[:_SHOWN]]
    more = len(report.problems) - _SHOWN
    return [*shown, *([f"and {count(more, 'more problem')} (--json has all)"] if more > 0 else [])]
