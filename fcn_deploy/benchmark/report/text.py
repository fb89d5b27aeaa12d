"""Render a record as text for a terminal, and as comma-separated values."""

from __future__ import annotations

import csv
import io
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.record.streams import held_streams, p99_ms
from fcn_deploy.benchmark.record.summary import summarise
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.report.answer import Answered
from fcn_deploy.benchmark.report.details import detail_sheets
from fcn_deploy.benchmark.report.remarks import absences, headline, remarks
from fcn_deploy.benchmark.report.sheets import resized_measurements, sheets, sizes_sheet, streams_sheet, summary_sheet
from fcn_deploy.benchmark.report.tables import Fitted, Summary
from fcn_deploy.benchmark.verdicts.answer import answer
from fcn_deploy.benchmark.verdicts.streams import stream_lines
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.system.escape import cell

# The columns of the comma-separated values: one line per row and shape, figures in full for other programs.
COLUMNS = (
    "runner", "status", "batch", "height", "width", "rounds", "median_ms", "p90_ms", "p99_ms", "upload_ms",
    "execute_ms", "download_ms", "images_per_s", "saturated_images_per_s", "times_reference", "unstable",
    "peak_bytes", "device_bytes", "mean_iou_percent", "delta_points", "boundary_mean_iou_percent",
    "boundary_delta_points", "agreed_pixels", "compared_pixels", "file_bytes", "file_sha256", "reason",
)  # fmt: skip
STREAM_COLUMNS = ("streams_held", "streams_p99_ms", "streams_fps", "streams_deadline_ms")
MORE = "Every table, what limits each row, and the machine: --details"


def render(record: Record, details: bool = False, budget: AccuracyBudget | None = None) -> RenderableType:
    """Render the answer, one table, what `--streams` and `--sizes` asked for, and which rows did not run.

    Args:
        details: show every figure and remark.
        budget: what the answer is judged by; None: the usual limit of mean IoU.
    """
    labels = tuple(model.label for model in record.models if model.label)
    parts: list[RenderableType] = [Answered(answer(record, budget)), "", Text(headline(record)), ""]
    parts += [Summary(summary_sheet(record), labels)]
    if lines := absences(record):
        parts += ["", *map(Text, lines)]
    asked = [sheet for sheet in (streams_sheet(record), sizes_sheet(record)) if sheet.rows]
    for sheet in (*sheets(record), *detail_sheets(record)) if details else asked:
        parts += ["", Text(f"{sheet.title}:"), Fitted(sheet, labels)]
    end = remarks(record) if details else [*stream_lines(record), MORE]
    return Group(*parts, "", *map(Text, end))


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
    return {column: cell(line[column]) for column in _columns(record) if line.get(column) is not None}


def _columns(record: Record) -> tuple[str, ...]:
    streams = () if record.settings.streams is None else STREAM_COLUMNS
    return (*COLUMNS, *streams, *(["file"] if record.others else []))


def _stream_figures(record: Record, row: Row) -> dict[str, Any]:
    held, test = held_streams(record, row), record.settings.streams
    if held is None or test is None:
        return {}
    p99 = None if held.load is None else p99_ms(held.load)
    return dict(zip(STREAM_COLUMNS, (held.streams, p99, test.fps, 1000 * test.deadline_s), strict=True))
