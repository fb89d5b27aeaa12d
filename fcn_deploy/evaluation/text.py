"""Lay out the accuracy of one model, or of several, as tables of a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fcn_deploy.evaluation.report import AccuracyComparison, AccuracyReport
from fcn_deploy.evaluation.sheets import ScoreTable, class_sheet, file_notes, files_sheet, metrics_sheet, note, title
from fcn_deploy.system.formatting import bare_table


def render(report: AccuracyReport) -> RenderableType:
    """Return the means, and each class's scores: everywhere, near label changes, away from them."""
    tables = _table(metrics_sheet(report)), _table(class_sheet(report), broken=True)
    return Group(Text(title(report)), "", tables[0], "", tables[1], "", Text(note(report)))


def render_comparison(found: AccuracyComparison) -> RenderableType:
    """Return a line for each file: mIoU, its change against the first with its interval, labels alike."""
    table = _table(files_sheet(found), words=2)
    return Group(table, "", *map(Text, file_notes(found)))


def _table(sheet: ScoreTable, words: int = 1, *, broken: bool = False) -> Table:
    """Return the table; the first `words` columns hold words and not figures, `broken` heads have a word per line."""
    table = bare_table()
    for place, head in enumerate(sheet.heads):
        table.add_column(
            head.replace(" ", "\n") if broken else head, justify="left" if place < words else "right", overflow="fold"
        )
    for row in sheet.rows:
        table.add_row(*row)
    return table
