"""The accuracy of one model on one data set as tables."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fcn_deploy.evaluation.report import AccuracyComparison, AccuracyReport
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.scores import Scores
from fcn_deploy.system.formatting import NONE, bare_table, count, number, points, share

METRICS = {
    "pixel accuracy": "pixel_accuracy",
    "mean accuracy": "mean_accuracy",
    "mean IoU": "mean_iou",
    "frequency weighted IoU": "frequency_weighted_iou",
}


def render(report: AccuracyReport) -> RenderableType:
    """Return the four metrics of the FCN paper and each class's IoU: everywhere, near label changes, away from them."""
    left_out = f", {report.left_out} left out" if report.left_out else ""
    title = f"{report.model} on {report.runner}: {count(report.images, 'image')} of {report.data}{left_out}; per cent"
    note = f"Boundary: within {report.radius} px of a label change in the ground truth; '-': the class is not there."
    return Group(Text(title), "", metrics_table(report), "", class_table(report), "", Text(note))


def render_comparison(found: AccuracyComparison) -> RenderableType:
    """Return a line for each file: mIoU, its change against the first with its interval, labels alike."""
    table = bare_table()
    table.add_column("file", overflow="fold")
    for head in ("runner", "mIoU %", "change points", "boundary mIoU %", "agreement %"):
        table.add_column(head, justify="left" if head == "runner" else "right", overflow="fold")
    for file in found.files:
        report = file.report
        if report is None:
            table.add_row(file.model, *[NONE] * 5)
            continue
        alike = share(file.agreed, file.pixels) if file.pixels else NONE
        means = (_percent(part.mean_iou) for part in (report.overall, report.boundary))
        overall, boundary = means
        table.add_row(file.model, report.runner, overall, _change(file.change), boundary, alike)
    lines = [f"{file.model} was not run: {file.reason}" for file in found.files if file.report is None]
    reports = [file.report for file in found.files if file.report is not None]
    of = f"{count(reports[0].images, 'image')} of {reports[0].data}; change and agreement against {reports[0].model}"
    return Group(table, "", *map(Text, lines), Text(f"{of}, in brackets 95 % intervals over the images"))


def _change(change: Interval | None) -> str:
    if change is None:
        return "ref"
    ends = "" if change.low is None or change.high is None else f" ({points(change.low)} to {points(change.high)})"
    return f"{points(change.value)}{ends}"


def metrics_table(report: AccuracyReport) -> Table:
    """Return the four metrics by region."""
    table = _table("")
    for name, attribute in METRICS.items():
        table.add_row(name, *(_percent(getattr(part, attribute)) for part in _parts(report)))
    table.add_row("pixels", *(f"{part.pixels:,}" for part in _parts(report)))
    return table


def class_table(report: AccuracyReport) -> Table:
    """Return the IoU of each class by region."""
    table = _table("IoU")
    for index, name in enumerate(report.classes):
        table.add_row(name, *(_percent(part.per_class_iou[index]) for part in _parts(report)))
    return table


def _parts(report: AccuracyReport) -> tuple[Scores, Scores, Scores]:
    return report.overall, report.boundary, report.interior


def _percent(fraction: float) -> str:
    return number(100 * fraction, 2)


def _table(first: str) -> Table:
    table = bare_table()
    table.add_column(first, overflow="fold")
    for region in ("all", "boundary", "interior"):
        table.add_column(region, justify="right")
    return table
