"""A benchmark record as comma-separated values: one line a row and shape, figures in full for other programs."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from fcn_deploy.benchmark.record.summary import fidelity, speed
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.report.cells import cell_views

COLUMNS = (
    "runner", "status", "batch", "height", "width", "rounds", "median_ms", "p90_ms", "p99_ms", "upload_ms",
    "execute_ms", "download_ms", "images_per_s", "saturated_images_per_s", "times_reference", "unstable",
    "peak_bytes", "device_bytes", "mean_iou_percent", "delta_points", "boundary_mean_iou_percent",
    "boundary_delta_points", "agreed_pixels", "compared_pixels", "file_bytes", "file_sha256", "reason",
)  # fmt: skip
_TIMES = (
    "rounds", "median_ms", "p90_ms", "p99_ms", "upload_ms", "execute_ms", "download_ms", "images_per_s",
    "times_reference",
)  # fmt: skip


def render_csv(record: Record) -> str:
    """A head and a line for each row on the data set's own sizes, then one for each cell.

    What was not measured is empty. `height` and `width` are empty where the data set has several sizes.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_line(record, row) for row in record.rows)
    writer.writerows(_line(view, row) for _, view, row in cell_views(record))
    return stream.getvalue()


def _line(record: Record, row: Row) -> dict[str, Any]:
    sizes = {shape[1:] for shape in record.shapes}
    height, width = sizes.pop() if len(sizes) == 1 else (None, None)
    line = {
        "runner": row.runner, "status": row.status, "reason": row.reason,
        "batch": record.settings.batch, "height": height, "width": width,
        "peak_bytes": row.memory and row.memory.peak_bytes, "device_bytes": row.memory and row.memory.device_bytes,
        "file_bytes": row.built and row.built.size_bytes,
        "file_sha256": row.built and row.built.sha256,
        "saturated_images_per_s": row.saturated and row.saturated.images / row.saturated.seconds,
    } | _times(record, row) | _accuracies(record, row)  # fmt: skip
    return {key: value for key, value in line.items() if value is not None and value == value}


def _times(record: Record, row: Row) -> dict[str, Any]:
    timed = speed(record, row)
    if timed is None:
        return {}
    figures = asdict(timed)
    return {name: figures[name] for name in _TIMES} | {"unstable": int(timed.unstable)}


def _accuracies(record: Record, row: Row) -> dict[str, Any]:
    found = fidelity(record, row)
    return {
        "mean_iou_percent": found.mean_iou, "delta_points": found.delta_points,
        "boundary_mean_iou_percent": found.boundary_mean_iou, "boundary_delta_points": found.boundary_delta_points,
        "agreed_pixels": found.agreement and found.agreement.agreed,
        "compared_pixels": found.agreement and found.agreement.pixels,
    }  # fmt: skip
