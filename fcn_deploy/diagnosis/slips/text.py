"""A report on slips as lines and a table."""

from __future__ import annotations

import textwrap

from rich.console import Group, RenderableType
from rich.text import Text

from fcn_deploy.diagnosis.slips.report import SAME, SlipReport
from fcn_deploy.system.formatting import bare_table, count, number

SHOWN = 5
WIDTH = 80  # columns
_SHARE = "equal labels %"


def render_slips(found: SlipReport) -> RenderableType:
    """Return the verdict, what to do, and the best explanations."""
    table = bare_table(gap=1)
    table.add_column("if the program had this slip", max_width=WIDTH - 2 - len(_SHARE))
    table.add_column(_SHARE, justify="right", no_wrap=True)
    table.add_row("none", number(100 * found.as_they_are, 1))
    for entry in found.tried[:SHOWN]:
        table.add_row(entry.name, number(100 * entry.share, 1))
    lines = [*verdict(found), "", *_about(found), ""]
    return Group(*(Text(textwrap.fill(line, WIDTH, subsequent_indent="  ")) for line in lines), table)


def verdict(found: SlipReport) -> list[str]:
    """Return the answer, and what to do about it."""
    as_they_are = f"{number(100 * found.as_they_are, 1)} %"
    if found.verdict == "explained":
        best = found.tried[0]
        return [
            f"explained by: {found.explained_by}, {number(100 * best.share, 1)} %",
            *(f"fix: {fix}" for fix in best.fixes),
        ]
    if found.verdict == "same":
        return [f"no slip: {as_they_are} of the labels are the reference's as they are"]
    if found.one_label >= SAME:
        return [
            f"unexplained: the label maps hold one label in {number(100 * found.one_label, 1)} % of their pixels, "
            "which many slips explain (see below)"
        ]
    best_try = f"; the best try explains {number(100 * found.tried[0].share, 1)} %" if found.tried else ""
    return [f"unexplained: {as_they_are} of the labels are the reference's as they are{best_try}"]


def _about(found: SlipReport) -> list[str]:
    lines = [
        f"{count(found.frames, 'label map')} of {found.labels_from} against {found.reference}, which ran "
        f"{count(found.runs, 'time')}"
    ]
    if found.label_size != found.image_size:
        (height, width), (rows, columns) = found.label_size, found.image_size
        lines.append(f"the label maps are {height}x{width}, the images {rows}x{columns}: compared by nearest pixels")
    return lines
