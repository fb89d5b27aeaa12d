"""Render a record as text: tables for a terminal, at most 100 columns wide, and Markdown for a pull request."""

from __future__ import annotations

import re

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.report.details import detail_sheets
from fcn_deploy.benchmark.report.remarks import headline, remarks
from fcn_deploy.benchmark.report.sheets import Sheet, sheets

# What a runner, a file or a class may be called and Markdown or HTML would read as markup.
_MARKUP = re.compile(r"([\\`*_\[\]|~#!])")
STYLES = {"ok": "green", "unstable": "yellow", "failed": "red", "skipped": "yellow", "built": "cyan"} | {
    "slower": "red",
    "faster": "green",
}


def render(record: Record, details: bool = False) -> RenderableType:
    """Render speed, accuracy and agreement, and what was left out and why; `details`: the fidelity in full."""
    parts: list[RenderableType] = [Text(headline(record)), ""]
    for sheet in sheets(record):
        parts += [as_table(sheet), ""]
    for sheet in detail_sheets(record) if details else ():
        parts += [Text(f"{sheet.title}:"), as_table(sheet), ""]
    return Group(*parts, *(Text(line) for line in remarks(record)))


def as_table(sheet: Sheet) -> Table:
    """Build a table of rich's; the column without a head holds the status."""
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for index, column in enumerate(sheet.columns):
        table.add_column(
            Text(column),
            overflow="fold" if index == 0 else "ellipsis",
            justify="left" if index == 0 or not column else "right",
        )
    for row in sheet.rows:
        table.add_row(*(Text(cell, _style(column, cell)) for column, cell in zip(sheet.columns, row, strict=True)))
    return table


def _style(column: str, cell: str) -> str:
    return "" if column else STYLES.get(cell, "")


def render_markdown(record: Record, more: tuple[Sheet, ...] = ()) -> str:
    """Return headline, tables and remarks. `more`: further tables, which follow the record's own."""
    first, *rest = headline(record).splitlines()
    parts = [f"## {escaped(first)}", *map(escaped, rest)]
    for sheet in (*sheets(record), *detail_sheets(record), *more):
        parts += [f"### {escaped(sheet.title)}", markdown_table(sheet)]
    parts += [escaped(line) for line in remarks(record) if line]
    return "\n\n".join(parts) + "\n"


def markdown_table(sheet: Sheet) -> str:
    """Write a table in GitHub's dialect; figures to the right."""
    sides = (":--" if index in sheet.words else "--:" for index in range(len(sheet.columns)))
    lines = [sheet.columns, tuple(sides), *(tuple(map(escaped, row)) for row in sheet.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def escaped(words: str) -> str:
    """Escape one line of text so that Markdown shows it as it is."""
    plain = " ".join(words.split())
    return _MARKUP.sub(r"\\\1", plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
