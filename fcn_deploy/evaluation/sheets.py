"""Build the tables of an accuracy as plain text cells, which terminal and page only lay out."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_deploy.evaluation.report import AccuracyComparison, AccuracyReport, ComparedAccuracy
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.boundary_iou import DIAGONAL_SHARE
from fcn_deploy.metrics.scores import Scores
from fcn_deploy.system.formatting import NONE, count, number, points, share

METRICS = {
    "pixel accuracy": "pixel_accuracy",
    "mean accuracy (recall)": "mean_accuracy",
    "mean IoU": "mean_iou",
    "frequency weighted IoU": "frequency_weighted_iou",
    "mean Dice (F1)": "mean_dice",
    "mean precision": "mean_precision",
}
CLASS_HEADS = ("class", "IoU", "IoU, boundary", "IoU, interior", "Dice (F1)", "precision", "recall", "Boundary IoU")
FILE_HEADS = ("file", "runner", "mIoU %", "change points", "boundary mIoU %", "agreement %")


@dataclass(frozen=True)
class ScoreTable:
    """One table: column heads, and as many cells in each row; the first column holds names."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def title(report: AccuracyReport) -> str:
    """Return what was scored on what."""
    left_out = f", {report.left_out} left out" if report.left_out else ""
    return f"{report.model} on {report.runner}: {count(report.images, 'image')} of {report.data}{left_out}; per cent"


def note(report: AccuracyReport) -> str:
    """Return what the two kinds of boundary are."""
    return (
        f"Boundary: within {report.radius} px of a label change in the ground truth. Boundary IoU: as Cheng et al. "
        f"(2021) define it, of the parts of both masks within {100 * DIAGONAL_SHARE:g} % of the image's diagonal from "
        "their own contours. A dash: the class is not there."
    )


def metrics_sheet(report: AccuracyReport) -> ScoreTable:
    """Return the means by region, and mean Boundary IoU, which has a region of its own."""
    parts = _parts(report)
    rows = [(name, *(percent(getattr(part, field)) for part in parts)) for name, field in METRICS.items()]
    rows.append(("mean Boundary IoU", percent(report.boundary_iou.mean), "", ""))
    rows.append(("pixels", *(f"{part.pixels:,}" for part in parts)))
    return ScoreTable(("", "all", "boundary", "interior"), tuple(rows))


def class_sheet(report: AccuracyReport) -> ScoreTable:
    """Return the scores of each class: IoU by region, the others over all pixels."""
    overall = report.overall
    columns = (
        *(part.per_class_iou for part in _parts(report)),
        overall.per_class_dice,
        overall.per_class_precision,
        overall.per_class_recall,
        report.boundary_iou.per_class,
    )
    cells = zip(*columns, strict=True)
    rows = tuple((name, *map(percent, values)) for name, values in zip(report.classes, cells, strict=True))
    return ScoreTable(CLASS_HEADS, rows)


def files_sheet(found: AccuracyComparison) -> ScoreTable:
    """Return a row for each file: mIoU, its change against the first with its interval, labels alike."""
    return ScoreTable(FILE_HEADS, tuple(map(_file_row, found.files)))


def file_notes(found: AccuracyComparison) -> list[str]:
    """Return why files were not run, and what the table is about."""
    reports = [file.report for file in found.files if file.report is not None]
    of = f"{count(reports[0].images, 'image')} of {reports[0].data}; change and agreement against {reports[0].model}"
    lines = [f"{file.model} was not run: {file.reason}" for file in found.files if file.report is None]
    return [*lines, f"{of}, in brackets 95 % intervals over the images"]


def percent(fraction: float) -> str:
    return number(100 * fraction, 2)


def _file_row(file: ComparedAccuracy) -> tuple[str, ...]:
    report = file.report
    if report is None:
        return (file.model, *[NONE] * 5)
    alike = share(file.agreed, file.pixels) if file.pixels else NONE
    overall, boundary = (percent(part.mean_iou) for part in (report.overall, report.boundary))
    return file.model, report.runner, overall, _change(file.change), boundary, alike


def _change(change: Interval | None) -> str:
    if change is None:
        return "ref"
    ends = "" if change.low is None or change.high is None else f" ({points(change.low)} to {points(change.high)})"
    return f"{points(change.value)}{ends}"


def _parts(report: AccuracyReport) -> tuple[Scores, Scores, Scores]:
    return report.overall, report.boundary, report.interior
