"""A cell of a record, one size with one batch, seen as a row of a record of its own.

So every figure of a row has one definition, whichever images it was measured on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fcn_deploy.benchmark.record.types import Cell, Record, Reference, Row
from fcn_deploy.vocabulary import Shape


def cell_views(record: Record) -> Iterator[tuple[Shape, Record, Row]]:
    """(N, H, W), record and row of every cell; small sizes first, rows in the record's order within a shape."""
    shapes = {cell.shape for row in record.rows for cell in row.cells}
    for shape in sorted(shapes, key=lambda shape: (shape[1] * shape[2], shape[0])):
        for row in record.rows:
            cell = _of_shape(row, shape)
            if cell is not None:
                yield shape, _record(record, cell), _row(row, cell)


def _record(record: Record, cell: Cell) -> Record:
    """The record with the cells of that shape as its rows: those that have as many rounds, so that rounds pair."""
    rounds = len(cell.latency.execute_ns)
    others = ((row, _of_shape(row, cell.shape)) for row in record.rows)
    rows = tuple(_row(row, own) for row, own in others if own is not None and len(own.latency.execute_ns) == rounds)
    reference = record.reference
    if reference is not None:
        accuracy = next((row.accuracy for row in rows if row.runner == reference.runner), None)
        reference = Reference(reference.runner, accuracy)
    settings = replace(record.settings, batch=cell.shape[0])
    return replace(
        record, rows=rows, shapes=(cell.shape,), rounds=(0,) * rounds, reference=reference, settings=settings
    )


def _row(row: Row, cell: Cell) -> Row:
    """What was not measured for the cell is absent, not the row's."""
    return replace(
        row, latency=cell.latency, memory=cell.memory, accuracy=cell.accuracy, saturated=cell.saturated,
        agreement=None, frames=(), cells=(), built=None,
    )  # fmt: skip


def _of_shape(row: Row, shape: Shape) -> Cell | None:
    return next((cell for cell in row.cells if cell.shape == shape), None)
