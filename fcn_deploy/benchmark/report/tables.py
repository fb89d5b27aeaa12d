"""Lay out sheets as tables of a terminal: as wide as it is, in parts, or with the columns that fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement as Extent
from rich.table import Table
from rich.text import Text

from fcn_deploy.benchmark.report.sheets import MIOU_CHANGE, Sheet, without_column
from fcn_deploy.system.formatting import bare_table

# Columns of the summary, the most important first, after the runner's; the one of speed-ups has several names.
IMPORTANCE = ("median ms", "× pytorch", MIOU_CHANGE, "labels equal %", "", "mIoU %")
STYLES = {
    "ok": "green", "unstable": "yellow", "failed": "red", "skipped": "yellow", "built": "cyan",
    "slower": "red", "faster": "green",
}  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """A sheet as one table with as many of its columns as fit the terminal, the most important ones."""

    sheet: Sheet
    labels: tuple[str, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the table, and which columns were left out."""
        sheet, left_out = self.sheet, list[str]()
        while len(sheet.columns) > 2 and not fits(as_table(sheet, self.labels), console, options):
            least = max(range(1, len(sheet.columns)), key=lambda at: _importance(sheet.columns[at]))
            left_out.append(sheet.columns[least])
            sheet = without_column(sheet, least)
        yield as_table(sheet, self.labels)
        if named := [head for head in left_out if head]:
            yield Text(f"(no room for: {'; '.join(named)})")


def _importance(head: str) -> int:
    """Return the place of a column in `IMPORTANCE`, 0 for the last one to go."""
    return IMPORTANCE.index(head) if head in IMPORTANCE else 1


@dataclass(frozen=True)
class Fitted:
    """A sheet as one table, or where that is wider than the terminal, as several, each with the names of the rows.

    Attributes:
        labels: of the files, where there are several: each gets a line of its own above the names of its runners.
    """

    sheet: Sheet
    labels: tuple[str, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the tables, from left to right."""
        first, last = 1, len(self.sheet.columns)
        while first < last:
            end = next(
                (
                    end
                    for end in range(last, first + 1, -1)
                    if fits(as_table(self.sheet, self.labels, first, end), console, options)
                ),
                first + 1,
            )
            yield from ("",) if first > 1 else ()
            yield as_table(self.sheet, self.labels, first, end)
            first = end


def fits(table: Table, console: Console, options: ConsoleOptions) -> bool:
    """Whether a table is no wider than the terminal."""
    wide = options.update_width(10 * options.max_width)
    return Extent.get(console, wide, table).maximum <= options.max_width


def as_table(sheet: Sheet, labels: tuple[str, ...] = (), first: int = 1, end: int | None = None) -> Table:
    """Build a table of rich's of the names and columns `first` to `end`; the column without a head holds the status.

    Args:
        labels: of the files, where there are several: each gets a line of its own above the names of its runners.
    """
    rows = [(row[0], *row[first:end]) for row in sheet.rows]
    columns = (sheet.columns[0], *sheet.columns[first:end])
    table = bare_table()
    for index, column in enumerate(columns):
        widest = max((len(row[index]) for row in rows), default=0)
        table.add_column(
            Text(column if len(column) <= widest else two_lines(column)),
            overflow="fold" if index == 0 else "ellipsis",
            no_wrap=index == 0,
            justify="left" if index == 0 or not column else "right",
        )
    for row in _grouped(rows, labels):
        table.add_row(
            *(Text(cell, "" if column else STYLES.get(cell, "")) for column, cell in zip(columns, row, strict=True))
        )
    return table


def _grouped(rows: Sequence[tuple[str, ...]], labels: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the rows; where the file changes, first a row with its label alone, so that names stay short."""
    last = ""
    for name, *cells in rows:
        label = max((label for label in labels if name.startswith(f"{label} ")), key=len, default="")
        if label and label != last:
            yield (label, *("" for _ in cells))
        last = label or last
        yield (f"  {name[len(label) + 1 :]}" if label else name, *cells)


def two_lines(head: str) -> str:
    """Return a head broken where its longer line is shortest; a single word as it is."""
    words = head.split(" ")
    breaks = [" ".join(words[:place]) + "\n" + " ".join(words[place:]) for place in range(1, len(words))]
    return min(breaks, key=lambda text: max(map(len, text.split("\n"))), default=head)
