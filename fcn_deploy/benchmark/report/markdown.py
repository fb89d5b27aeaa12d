"""Render a record as Markdown, for a pull request or a wiki."""

from __future__ import annotations

import re

from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.report.details import detail_sheets
from fcn_deploy.benchmark.report.remarks import headline, remarks
from fcn_deploy.benchmark.report.sheets import Sheet, sheets

# What a runner, a file or a class may be called and Markdown or HTML would read as markup.
_MARKUP = re.compile(r"([\\`*_\[\]|~#!])")


def render_markdown(record: Record, more: tuple[Sheet, ...] = ()) -> str:
    """Return headline, tables and remarks. `more`: further tables, which follow the record's own."""
    first, *rest = headline(record).splitlines()
    parts = [f"## {escaped(first)}", *map(escaped, rest)]
    for sheet in (*sheets(record), *detail_sheets(record), *more):
        parts += [f"### {escaped(sheet.title)}", table(sheet)]
    parts += [escaped(line) for line in remarks(record) if line]
    return "\n\n".join(parts) + "\n"


def table(sheet: Sheet) -> str:
    """Write a table in GitHub's dialect; figures to the right."""
    sides = (":--" if index in sheet.words else "--:" for index in range(len(sheet.columns)))
    lines = [sheet.columns, tuple(sides), *(tuple(map(escaped, row)) for row in sheet.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def escaped(words: str) -> str:
    """Escape one line of text so that Markdown shows it as it is."""
    plain = " ".join(words.split())
    return _MARKUP.sub(r"\\\1", plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
