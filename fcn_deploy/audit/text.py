"""Render an audit as a table at most 100 columns wide, a line of totals and a line per finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table

from fcn_deploy.audit.audit import Audit, AuditRow
from fcn_deploy.audit.finding import Finding
from fcn_deploy.graph.sizes import ImageSize
from fcn_deploy.system.formatting import NONE, bare_table, count, number, some
from fcn_deploy.vocabulary import shape_text

UNITS = ((10**9, "GMAC"), (10**6, "MMAC"), (10**3, "kMAC"), (1, "MAC"))
NAMES_SHOWN = 3


def render(audit: Audit, top: int | None = None) -> list[RenderableType]:
    """Return the table of nodes, the `top` largest of them only, then totals and findings."""
    return [table(audit, top), "", *summary(audit)]


def summary(audit: Audit) -> list[str]:
    """Return the totals, then a line for each finding, errors first."""
    return [totals_line(audit), *(f"{finding.level}: {finding_line(finding)}" for finding in audit.findings)]


def table(audit: Audit, top: int | None = None) -> Table:
    """Return a row for each node in the graph's order; with `top`, only the largest and one for the rest."""
    unit = _unit(audit.macs)
    found = bare_table(gap=1)
    found.add_column("node", overflow="fold")
    for column in ("operator", "type"):
        found.add_column(column, no_wrap=True)
    for column in ("output", unit[1], "%"):
        found.add_column(column, justify="right", no_wrap=True)
    found.add_column("why not narrower" if any(row.reason for row in audit.rows) else "", overflow="fold")
    rows, rest = _largest(audit.rows, top)
    for row in rows:
        shape = NONE if row.output_shape is None else shape_text(row.output_shape)
        found.add_row(row.name, row.op_type, row.precision, shape, *_amount(row.macs, audit.macs, unit[0]), row.reason)
    if rest:
        macs = sum(row.macs or 0 for row in rest)
        found.add_row(count(len(rest), "other"), "", "", "", *_amount(macs, audit.macs, unit[0]), "")
    return found


def totals_line(audit: Audit) -> str:
    """Return "INT8 93.1 %, FP16 6.2 %, FP32 0.7 % of 74.2 GMAC at 360x480"; the shares add up to 100.0."""
    unknown = audit.unknown
    left_out = f"; not counted: {some([row.name for row in unknown], NAMES_SHOWN)}: the graph lacks their sizes"
    return shares_line(audit.totals, audit.size) + (left_out if unknown else "")


def shares_line(totals: Mapping[str, int], size: ImageSize) -> str:
    """Return multiply-adds by precision as `totals_line` writes them."""
    macs = sum(totals.values())
    divisor, unit = _unit(macs)
    shares = _tenths(list(totals.values()))
    parts = ", ".join(f"{name} {share:.1f} %" for name, share in zip(totals, shares, strict=True))
    return f"{parts} of {_significant(macs / divisor)} {unit} at {size}"


def finding_line(finding: Finding) -> str:
    """Render nodes, problem and fix in one line."""
    names = f"{some(finding.names, NAMES_SHOWN)}: " if finding.names else ""
    return f"{names}{finding.problem}" + (f"; {finding.fix}" if finding.fix else "")


def _largest(rows: Sequence[AuditRow], top: int | None) -> tuple[Sequence[AuditRow], Sequence[AuditRow]]:
    if top is None or top >= len(rows):
        return rows, ()
    ordered = sorted(rows, key=lambda row: -(row.macs or 0))
    return ordered[:top], ordered[top:]


def _amount(macs: int | None, total: int, divisor: int) -> tuple[str, str]:
    """Return multiply-adds and their share in per cent."""
    if macs is None:
        return NONE, NONE
    return number(macs / divisor, 4 if divisor > 1 else 0), number(100 * macs / total, 2) if total else NONE


def _tenths(amounts: Sequence[int]) -> list[float]:
    """Return per cent with one decimal, adding up to 100.0: the largest remainders are rounded up."""
    total = sum(amounts) or 1
    floors = [1000 * amount // total for amount in amounts]
    by_remainder = sorted(range(len(amounts)), key=lambda index: -(1000 * amounts[index] % total))
    for index in by_remainder[: 1000 - sum(floors) if sum(amounts) else 0]:
        floors[index] += 1
    return [floor / 10 for floor in floors]


def _unit(macs: int) -> tuple[int, str]:
    return next((unit for unit in UNITS if macs >= unit[0]), UNITS[-1])


def _significant(value: float) -> str:
    return number(value, 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2)
