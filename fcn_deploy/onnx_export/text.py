"""Render an export and its proof as lines."""

from __future__ import annotations

from fcn_deploy.onnx_export.export import ExportReport
from fcn_deploy.vocabulary import shape_text


def render(report: ExportReport) -> str:
    """Return a line per shape of the proof, one on the network, one if its size enlarges images, one on the file."""
    lines = [f"  N x H x W      largest difference   labels that differ     (tolerance {report.tolerance:g})"]
    for tick in report.ticks:
        lines.append(f"✓ {shape_text(tick.shape):14} {tick.relative_difference:18.1e}   {tick.labels_differing:18d}")
    size = f"{report.weights_bytes / 1e6:.1f} MB of weights"
    written = f"{report.path}" + (f" and {report.data_path.name}" if report.data_path else "")
    lines.append(f"{report.card.model}, {report.card.num_classes} classes, {report.nodes} nodes, {size}")
    lines += [] if report.card.sizing is None else filter(None, [report.card.sizing.enlarging])
    lines.append(f"wrote {written} in {report.seconds:.1f} s")
    return "\n".join(lines)
