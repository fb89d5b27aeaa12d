"""Read rows of schema 1 and 2: their own fields were measured on the data set's own sizes, cells on resized images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fcn_deploy.benchmark.record.measurement import (
    Accuracy,
    Agreement,
    Frame,
    Latency,
    Measurement,
    Memory,
    Saturated,
)
from fcn_deploy.benchmark.record.types import Built, Row, Status
from fcn_deploy.errors import RecordError
from fcn_deploy.system.decode import decode
from fcn_deploy.vocabulary import Shape


@dataclass(frozen=True)
class _Cell:
    shape: Shape
    latency: Latency
    saturated: Saturated | None = None
    memory: Memory | None = None
    accuracy: Accuracy | None = None

    def as_measurement(self) -> Measurement:
        return Measurement(self.shape, self.latency, self.saturated, self.memory, self.accuracy)


@dataclass(frozen=True)
class _OldRow:
    runner: str
    status: Status
    reason: str = ""
    notes: tuple[str, ...] = ()
    latency: Latency | None = None
    memory: Memory | None = None
    accuracy: Accuracy | None = None
    agreement: Agreement | None = None
    built: Built | None = None
    saturated: Saturated | None = None
    frames: tuple[Frame, ...] = ()
    cells: tuple[_Cell, ...] = ()

    def as_row(self) -> Row:
        own = Measurement(None, self.latency, self.saturated, self.memory, self.accuracy, self.agreement, self.frames)
        found = [] if own == Measurement() else [own]
        found += [cell.as_measurement() for cell in self.cells]
        return Row(self.runner, self.status, self.reason, self.notes, self.built, tuple(found))


@dataclass(frozen=True)
class _OldRecord:
    rows: tuple[_OldRow, ...]


def decode_old_rows(raw: Any, source: str) -> tuple[Row, ...]:
    """Read the rows of a record of schema 1 or 2; RecordError with the place if they cannot be read."""
    return tuple(row.as_row() for row in decode(_OldRecord, raw, source, RecordError).rows)
