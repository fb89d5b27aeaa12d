"""Write a record as comma-separated values: one line per row and shape, figures in full for other programs."""

from __future__ import annotations

import csv
import io
from typing import Any

from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.record.summary import summarise
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.report.sheets import resized_measurements

COLUMNS = (
    "runner", "status", "batch", "height", "width", "rounds", "median_ms", "p90_ms", "p99_ms", "upload_ms",
    "execute_ms", "download_ms", "images_per_s", "saturated_images_per_s", "times_reference", "unstable",
    "peak_bytes", "device_bytes", "mean_iou_percent", "delta_points", "boundary_mean_iou_percent",
    "boundary_delta_points", "agreed_pixels", "compared_pixels", "file_bytes", "file_sha256", "reason",
)  # fmt: skip


def render_csv(record: Record) -> str:
    """Return a head and a line for each row on the data set's own sizes, then one for each row and other shape.

    What was not measured is empty. `height` and `width` are empty where the data set has several sizes.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_line(record, row, row.own) for row in record.rows)
    writer.writerows(_line(record, row, found) for row, found in resized_measurements(record))
    return stream.getvalue()


def _line(record: Record, row: Row, found: Measurement) -> dict[str, Any]:
    batch, height, width = found.shape or (record.settings.batch, *_only_size(record))
    memory, agreement, built = found.memory, found.agreement, None if found.shape else row.built
    figures = summarise(record, found)
    line = figures | {
        "runner": row.runner, "status": row.status, "reason": row.reason,
        "batch": batch, "height": height, "width": width,
        "peak_bytes": memory and memory.peak_bytes, "device_bytes": memory and memory.device_bytes,
        "file_bytes": built and built.size_bytes, "file_sha256": built and built.sha256,
        "mean_iou_percent": figures["mean_iou"], "boundary_mean_iou_percent": figures["boundary_mean_iou"],
        "agreed_pixels": agreement and agreement.overall.agreed,
        "compared_pixels": agreement and agreement.overall.pixels,
        "unstable": int(figures["unstable"]) if "unstable" in figures else None,
    }  # fmt: skip
    return {column: line[column] for column in COLUMNS if line.get(column) is not None}


def _only_size(record: Record) -> tuple[int | None, int | None]:
    sizes = {shape[1:] for shape in record.shapes}
    return sizes.pop() if len(sizes) == 1 else (None, None)
