"""Render a record as tables for a terminal or a pipe, at most 100 columns wide."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.report.details import detail_sheets
from fcn_deploy.benchmark.report.remarks import headline, remarks
from fcn_deploy.benchmark.report.sheets import Sheet, sheets

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
