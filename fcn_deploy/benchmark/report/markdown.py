"""Render a record as Markdown for a pull request."""

from __future__ import annotations

import re

from fcn_deploy.benchmark.gate.result import GateResult
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.report.answer import answer_lines
from fcn_deploy.benchmark.report.badge import badge, limits_sheet
from fcn_deploy.benchmark.report.details import detail_sheets
from fcn_deploy.benchmark.report.remarks import absences, headline, remarks
from fcn_deploy.benchmark.report.sheets import Sheet, sheets, summary_sheet
from fcn_deploy.benchmark.verdicts.answer import answer
from fcn_deploy.metrics.budget import AccuracyBudget

# What a runner, a file or a class may be called and Markdown or HTML would read as markup.
_MARKUP = re.compile(r"([\\`*_\[\]|~#!])")


def render_markdown(
    record: Record,
    more: tuple[Sheet, ...] = (),
    budget: AccuracyBudget | None = None,
    gate: GateResult | None = None,
) -> str:
    """Return PASS or FAIL where there were limits, the answer, the summary, and folded below it all tables and remarks.

    Args:
        more: tables after the first.
        budget: what the answer is judged by; None: the usual limit of mean IoU.
        gate: the result of the limits, with a table of them; None where there were none.
    """
    ship, *rest = answer_lines(answer(record, budget))
    answered = [_answer_markdown(line.label, line.text, line.command) for line in rest]
    parts = [f"## {ship.label}: {escaped(ship.text)}", *(["\n".join(answered)] if answered else [])]
    parts += map(escaped, headline(record).splitlines())
    if gate is not None:
        shown = badge(gate)
        parts.insert(0, f"# {shown.word}: {escaped(shown.reason)}")
        more = (limits_sheet(gate), *more)
    for sheet in (summary_sheet(record), *more):
        parts += [f"### {escaped(sheet.title)}", markdown_table(sheet)]
    parts += [*map(escaped, absences(record)), "<details><summary>All figures</summary>"]
    for sheet in (*sheets(record), *detail_sheets(record)):
        parts += [f"### {escaped(sheet.title)}", markdown_table(sheet)]
    parts += [escaped(line) for line in remarks(record) if line]
    return "\n\n".join([*parts, "</details>"]) + "\n"


def _answer_markdown(label: str, text: str, command: bool) -> str:
    """Write a line of the answer as an item; a command in code, which needs no escapes, with its pipes left alone."""
    if not command:
        return f"- **{label}**: {escaped(text)}"
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"- **{label}**: {fence}{text}{fence}"


def markdown_table(sheet: Sheet) -> str:
    """Write a table in GitHub's dialect; figures to the right."""
    sides = (":--" if index in sheet.words else "--:" for index in range(len(sheet.columns)))
    lines = [sheet.columns, tuple(sides), *(tuple(map(escaped, row)) for row in sheet.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def escaped(words: str) -> str:
    """Escape one line of text so that Markdown shows it as it is."""
    plain = " ".join(words.split())
    return _MARKUP.sub(r"\\\1", plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
