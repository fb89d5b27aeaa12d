"""Audit what a graph computes in which precision: a row per node that multiplies and adds, and totals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from fcn_deploy.audit.arithmetic import has_quantisation, precision
from fcn_deploy.audit.finding import Finding
from fcn_deploy.audit.preflight import preflight
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.complete import check_complete
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.macs import OPERANDS, multiply_adds, operands
from fcn_deploy.graph.simplify import simplify
from fcn_deploy.graph.sizes import ImageSize, TensorSize, choose_size, tensor_sizes
from fcn_deploy.graph.weights import catch_weight_errors
from fcn_deploy.system.serialization.plain import plain


@dataclass(frozen=True)
class AuditRow:
    """One node.

    Attributes:
        name: the node's, or its output's where it has none; op_type: its ONNX operator.
        precision: see `arithmetic.precision`.
        output_shape, macs: at the audited size; None if the graph does not define them.
        reason: why it is not in INT8, or what it was kept in float for; "" if there is nothing to say.
    """

    name: str
    op_type: str
    precision: str
    output_shape: tuple[int, ...] | None
    macs: int | None
    reason: str


@dataclass(frozen=True)
class Audit:
    """The rows of one file at one image size, in the graph's order, and what the preflight found."""

    path: Path
    size: ImageSize
    rows: tuple[AuditRow, ...]
    findings: tuple[Finding, ...]

    @property
    def macs(self) -> int:
        """Multiply-adds of all rows that are known."""
        return sum(row.macs or 0 for row in self.rows)

    @property
    def totals(self) -> dict[str, int]:
        """Multiply-adds by precision, the largest first; they add up to `macs`."""
        sums: dict[str, int] = {}
        for row in self.rows:
            sums[row.precision] = sums.get(row.precision, 0) + (row.macs or 0)
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    @property
    def unknown(self) -> tuple[AuditRow, ...]:
        """Rows whose multiply-adds cannot be computed from the graph."""
        return tuple(row for row in self.rows if row.macs is None)

    @property
    def rejected(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.level == "error" for finding in self.findings)

    def to_plain(self) -> dict[str, Any]:
        """Return every node and finding as JSON holds them; `macs` are multiply-adds."""
        return {
            "path": str(self.path),
            "size": plain(self.size),
            "macs": self.macs,
            "totals": self.totals,
            "rejected": self.rejected,
            "rows": plain(self.rows),
            "findings": plain(self.findings),
        }


def audit(
    path: Path,
    *,
    batch: int | None = None,
    height: int | None = None,
    width: int | None = None,
    model: ir.Model | None = None,
) -> Audit:
    """Read an ONNX file of this or another tool and say what it computes, and what TensorRT would make of it.

    Args:
        batch, height, width: of the image; by default what is fixed in the file, else 1 x 360 x 480.
        model: the graph, where it was read from `path` already; it is simplified on the way.

    Raises:
        GraphError: not ONNX, no image input, nothing that multiplies, weights missing next to the file, or a size that
            the file does not allow.
    """
    model = load_graph(path, show=True) if model is None else model
    simplify(model)
    check_complete(model, path)
    if not any(node.op_type in OPERANDS for node in model.graph):
        raise GraphError(f"{path} holds none of {', '.join(OPERANDS)}: there is no arithmetic to audit")
    size = choose_size(model, batch, height, width)
    with catch_weight_errors(path):
        sizes = tensor_sizes(model, size)
        findings = preflight(model, sizes)
    quantised = has_quantisation(model)
    # A row for each node that works on numbers, not on shapes.
    rows = tuple(_row(node, sizes, quantised) for node in model.graph if operands(node) is not None)
    return Audit(path, size, rows, findings)


def _row(node: ir.Node, sizes: dict[str, TensorSize], quantised: bool) -> AuditRow:
    output = str(node.outputs[0].name)
    kind, reason = precision(node, sizes, quantised)
    return AuditRow(node.name or output, node.op_type, kind, sizes[output].shape, multiply_adds(node, sizes), reason)
