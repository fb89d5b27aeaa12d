"""Render a record as one HTML page: nothing is loaded from elsewhere, nothing on it is a script.

Everything that a user named (classes, files, models) comes in as text: the template escapes it, and the page's own
policy would keep a script from running all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from fcn_deploy.benchmark.gate.result import GateResult
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.report.badge import badge, limits_sheet
from fcn_deploy.benchmark.report.columns import Grid, grid
from fcn_deploy.benchmark.report.details import detail_sheets
from fcn_deploy.benchmark.report.overlays import overlays
from fcn_deploy.benchmark.report.plots.classes import class_plots
from fcn_deploy.benchmark.report.plots.latency import latency_plot
from fcn_deploy.benchmark.report.plots.medians import medians_plot
from fcn_deploy.benchmark.report.plots.sizes import size_plots
from fcn_deploy.benchmark.report.plots.tradeoff import DESK, tradeoff_plot
from fcn_deploy.benchmark.report.remarks import absences, circumstances, verdict_lines
from fcn_deploy.benchmark.report.run_facts import run_facts, subject
from fcn_deploy.benchmark.report.sheets import Sheet, sheets
from fcn_deploy.benchmark.report.top import top
from fcn_deploy.benchmark.worst_frames import WorstFrames
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.page.heat_map import NOTE, heat_map, map_width
from fcn_deploy.page.svg import element, marker
from fcn_deploy.page.template import styles, template
from fcn_deploy.version import __version__

NOT_KEPT = (
    "A record holds counts and no pictures, so a page made from one shows no frames; give --html to the run that "
    "measures."
)
FIRST_NOTE = (
    "A bar ends at the median, the line behind it at p90. In the other plot a dashed line joins the rows that no other "
    "beats in both speed and accuracy; upright lines are 95 % intervals of the change against the reference."
)
SPREAD_NOTE = (
    "How the rounds of each row are spread around its median: density, one tick each, and p50, p90 and p99 as lines."
)
CLASSES_NOTE = (
    "IoU of the reference, and the points that each other row gains or loses, all on one axis; lines are 95 % "
    "intervals over the images."
)
FRAME_STYLE = "width:100%;height:48em;border:0"
NONE_DIFFERED = "No row gave a label that is not the reference's."


@dataclass(frozen=True)
class Section:
    """A table, what it says in words, and plots.

    Attributes:
        first: kind and plot of those above the table; "wide" is for a desk, "narrow" for a phone.
        legend: series and name, where plots do not name them.
        rows_are_series: whether row i of the table is series i of the plots.
    """

    grid: Grid
    verdicts: Sequence[str] = ()
    note: str = ""
    plots: Sequence[Markup] = ()
    legend: Sequence[tuple[int, str]] = ()
    first: Sequence[tuple[str, Markup]] = ()
    first_note: str = ""
    rows_are_series: bool = False


def render_html(
    record: Record,
    kept: WorstFrames | None = None,
    more: tuple[Sheet, ...] = (),
    gate: GateResult | None = None,
    budget: AccuracyBudget | None = None,
) -> str:
    """Render the page.

    Args:
        kept: the worst frames, which a record alone does not have.
        more: further tables, which follow the one of speed.
        gate: the result of the limits, which is the first thing on the page; None where there were none.
        budget: what the answer is judged by; None: the usual limit of mean IoU.
    """
    pictures = overlays(record, kept) if kept is not None else None
    return template(__package__ or "", "report.html").render(
        version=__version__,
        title=", ".join(model.name for model in record.models),
        subject=subject(record),
        top=top(record, budget, limits_shown=gate is not None and gate.any_row),
        badge=None if gate is None else badge(gate),
        styles=styles(),
        parts=_parts(record, more, gate),
        details=[grid(record, sheet) for sheet in detail_sheets(record)],
        confusion=_confusion(record),
        confusion_note=NOTE,
        confusion_width=map_width(len(record.data.classes)),
        remarks=[*absences(record), *circumstances(record)],
        key=_key,
        overlays=pictures,
        no_frames=NOT_KEPT if pictures is None else NONE_DIFFERED,
        facts=run_facts(record),
    )


def render_iframe(record: Record) -> str:
    """Return the page within an iframe, for a notebook: neither's styles reach the other."""
    page = render_html(record)
    return element("iframe", srcdoc=page, title=f"fcn-deploy bench {record.model.name}", sandbox="", style=FRAME_STYLE)


def _parts(record: Record, more: tuple[Sheet, ...], gate: GateResult | None) -> list[Section]:
    """Return the tables in their order, each with the plots of its figures."""
    measured = [(index, row.name) for index, row in enumerate(record.rows) if row.resized]
    spread = latency_plot(record)
    drawn: dict[str, dict[str, Any]] = {
        "Speed": {
            "verdicts": verdict_lines(record, types=False),
            "note": SPREAD_NOTE,
            "plots": [] if spread is None else [spread],
            "first": _first_plots(record),
            "first_note": FIRST_NOTE,
            "rows_are_series": True,
        },
        "Accuracy": {"note": CLASSES_NOTE, "plots": class_plots(record)},
        "Sizes and batches": {
            "note": "Images and labels are resized to each size.",
            "plots": size_plots(record),
            "legend": measured,
        },
    }
    first, *rest = (Section(grid(record, sheet), **drawn.get(sheet.title, {})) for sheet in sheets(record))
    limits = () if gate is None else (limits_sheet(gate),)
    before, after = ([Section(grid(record, sheet)) for sheet in bare] for bare in (limits, more))
    return [*before, first, *after, *rest]


def _first_plots(record: Record) -> list[tuple[str, Markup]]:
    """Return the medians, and speed against accuracy for a desk and for a phone, each of which shows one of them."""
    plots = [
        ("bars", medians_plot(record)),
        ("wide", tradeoff_plot(record, DESK)),
        ("narrow", tradeoff_plot(record)),
    ]
    return [(kind, plot) for kind, plot in plots if plot is not None]


def _confusion(record: Record) -> Markup | None:
    """Draw the reference's confusion matrix; None without a ground truth."""
    found = record.reference
    if found is None or found.accuracy is None or not record.data.classes:
        return None
    title = f"{found.name}: true class by row, predicted class by column"
    return heat_map(record.data.classes, found.accuracy.overall, title)


def _key(series: int) -> Markup:
    """Draw the mark of a series for a legend; hidden from screen readers, which read the name next to it."""
    return element("svg", marker(7, 7, series), viewBox="0 0 14 14", class_="key", aria_hidden="true")
