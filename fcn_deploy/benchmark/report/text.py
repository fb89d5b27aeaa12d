"""Render a record as text: tables as wide as a terminal allows, Markdown for a pull request, and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement as Extent
from rich.table import Table
from rich.text import Text

from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.record.streams import held_streams, p99_ms
from fcn_deploy.benchmark.record.summary import summarise
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.report.details import detail_sheets
from fcn_deploy.benchmark.report.remarks import headline, remarks
from fcn_deploy.benchmark.report.sheets import Sheet, resized_measurements, sheets
from fcn_deploy.system.formatting import bare_table

# What a runner, a file or a class may be called and Markdown or HTML would read as markup.
_MARKUP = re.compile(r"([\\`*_\[\]|~#!])")
# The columns of the comma-separated values: one line per row and shape, figures in full for other programs.
COLUMNS = (
    "runner", "status", "batch", "height", "width", "rounds", "median_ms", "p90_ms", "p99_ms", "upload_ms",
    "execute_ms", "download_ms", "images_per_s", "saturated_images_per_s", "times_reference", "unstable",
    "peak_bytes", "device_bytes", "mean_iou_percent", "delta_points", "boundary_mean_iou_percent",
    "boundary_delta_points", "agreed_pixels", "compared_pixels", "file_bytes", "file_sha256", "reason",
)  # fmt: skip
STREAM_COLUMNS = ("streams_held", "streams_p99_ms", "streams_fps", "streams_deadline_ms")
STYLES = {
    "ok": "green", "unstable": "yellow", "failed": "red", "skipped": "yellow", "built": "cyan",
    "slower": "red", "faster": "green",
}  # fmt: skip


def render(record: Record, details: bool = False) -> RenderableType:
    """Render speed, accuracy and agreement, and what was left out and why; `details`: the fidelity in full."""
    parts: list[RenderableType] = [Text(headline(record)), ""]
    labels = tuple(model.label for model in record.models if model.label)
    for sheet in sheets(record):
        parts += [Fitted(sheet, labels), ""]
    for sheet in detail_sheets(record) if details else ():
        parts += [Text(f"{sheet.title}:"), Fitted(sheet, labels), ""]
    return Group(*parts, *(Text(line) for line in remarks(record)))


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
                (end for end in range(last, first + 1, -1) if self._fits(first, end, console, options)), first + 1
            )
            yield from ("",) if first > 1 else ()
            yield as_table(self.sheet, self.labels, first, end)
            first = end

    def _fits(self, first: int, end: int, console: Console, options: ConsoleOptions) -> bool:
        table = as_table(self.sheet, self.labels, first, end)
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
        label = next((label for label in labels if name.startswith(f"{label} ")), "")
        if label and label != last:
            yield (label, *("" for _ in cells))
        last = label or last
        yield (f"  {name[len(label) + 1 :]}" if label else name, *cells)


def two_lines(head: str) -> str:
    """Return a head broken where its longer line is shortest; a single word as it is."""
    words = head.split(" ")
    breaks = [" ".join(words[:place]) + "\n" + " ".join(words[place:]) for place in range(1, len(words))]
    return min(breaks, key=lambda text: max(map(len, text.split("\n"))), default=head)


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


def render_csv(record: Record) -> str:
    """Return a head and a line for each row on the data set's own sizes, then one for each row and other shape.

    What was not measured is empty. Where the record has several files, the last column is the row's. `height` and
    `width` are empty where the data set has several sizes.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _columns(record), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_line(record, row, row.own) for row in record.rows)
    writer.writerows(_line(record, row, found) for row, found in resized_measurements(record))
    return stream.getvalue()


def _line(record: Record, row: Row, found: Measurement) -> dict[str, Any]:
    sizes = {shape[1:] for shape in record.shapes}
    height_width: tuple[int | None, ...] = sizes.pop() if len(sizes) == 1 else (None, None)
    batch, height, width = found.shape or (record.settings.batch, *height_width)
    memory, agreement, built = found.memory, found.agreement, None if found.shape else row.built
    figures = summarise(record, found)
    line = figures | {
        "runner": row.runner, "status": row.status, "reason": row.reason, "file": row.file,
        "batch": batch, "height": height, "width": width,
        "peak_bytes": memory and memory.peak_bytes, "device_bytes": memory and memory.device_bytes,
        "file_bytes": built and built.size_bytes, "file_sha256": built and built.sha256,
        "mean_iou_percent": figures["mean_iou"], "boundary_mean_iou_percent": figures["boundary_mean_iou"],
        "agreed_pixels": agreement and agreement.overall.agreed,
        "compared_pixels": agreement and agreement.overall.pixels,
        "unstable": int(figures["unstable"]) if "unstable" in figures else None,
    }  # fmt: skip
    line |= {} if found.shape else _stream_figures(record, row)
    return {column: line[column] for column in _columns(record) if line.get(column) is not None}


def _columns(record: Record) -> tuple[str, ...]:
    streams = () if record.settings.streams is None else STREAM_COLUMNS
    return (*COLUMNS, *streams, *(["file"] if record.others else []))


def _stream_figures(record: Record, row: Row) -> dict[str, Any]:
    held, test = held_streams(record, row), record.settings.streams
    if held is None or test is None:
        return {}
    p99 = None if held.load is None else p99_ms(held.load)
    return dict(zip(STREAM_COLUMNS, (held.streams, p99, test.fps, 1000 * test.deadline_s), strict=True))
