"""Render an accuracy, or several, as one HTML page: the tables, and each confusion matrix as a heat map."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from fcn_deploy.evaluation.report import AccuracyComparison, AccuracyReport
from fcn_deploy.evaluation.sheets import (
    ScoreTable,
    class_sheet,
    file_notes,
    files_sheet,
    metrics_sheet,
    note,
    percent,
    title,
)
from fcn_deploy.page.heat_map import NOTE, heat_map, left_out, map_width
from fcn_deploy.page.template import styles, template
from fcn_deploy.version import __version__


@dataclass(frozen=True)
class Part:
    """What the page shows of one file."""

    title: str
    metrics: ScoreTable
    classes: ScoreTable
    note: str
    map: Markup
    map_width: float
    left_out: int


def render_page(found: AccuracyReport | AccuracyComparison) -> str:
    """Return the page: nothing on it is loaded from elsewhere, and nothing is a script."""
    several = isinstance(found, AccuracyComparison)
    files = found.files if isinstance(found, AccuracyComparison) else ()
    reports = [found] if isinstance(found, AccuracyReport) else [file.report for file in files if file.report]
    return template(__package__ or "", "evaluation.html").render(
        version=__version__,
        title=", ".join(file.model for file in files) if several else reports[0].model,
        headline=[_headline(report) for report in reports],
        styles=styles(),
        files=files_sheet(found) if isinstance(found, AccuracyComparison) else None,
        file_notes=file_notes(found) if isinstance(found, AccuracyComparison) else [],
        parts=[_part(report) for report in reports],
        map_note=NOTE,
    )


def _headline(report: AccuracyReport) -> str:
    overall = report.overall
    return (
        f"{report.model}: mIoU {percent(overall.mean_iou)} %, Dice {percent(overall.mean_dice)} %, "
        f"boundary mIoU {percent(report.boundary.mean_iou)} %, Boundary IoU {percent(report.boundary_iou.mean)} %."
    )


def _part(report: AccuracyReport) -> Part:
    drawn = heat_map(report.classes, report.confusion, f"{report.model}: true class by row, predicted class by column")
    classes = len(report.classes)
    sheets = metrics_sheet(report), class_sheet(report)
    return Part(title(report), *sheets, note(report), drawn, map_width(classes), left_out(classes))
