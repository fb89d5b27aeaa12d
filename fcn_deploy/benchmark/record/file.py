"""Write a record as JSON with a summary for other programs, and read it back from the samples alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn_deploy.benchmark.plain import SCHEMA, to_plain
from fcn_deploy.benchmark.record.check import check_record
from fcn_deploy.benchmark.record.measurement import (
    Accuracy,
    Agreement,
    Frame,
    Latency,
    Measurement,
    Memory,
    Saturated,
)
from fcn_deploy.benchmark.record.types import Built, Record, Row, Status
from fcn_deploy.errors import RecordError
from fcn_deploy.system.decode import decode, parse_json
from fcn_deploy.system.files import write_text
from fcn_deploy.vocabulary import Shape

# Schema 2 added fields alone: a record of schema 1 is one that did not measure them. Schema 3 has measurements in rows.
OLD_ROWS = (1, 2)


def to_json(record: Record) -> str:
    """Return the record as JSON text."""
    return json.dumps(to_plain(record), allow_nan=False)


def from_json(text: str, name: str = "record") -> Record:
    """Read what `to_json` wrote.

    Raises:
        RecordError: not JSON, of another kind or schema, or a value that is missing or of the wrong type.
    """
    raw = parse_json(text, name, RecordError)
    if not isinstance(raw, dict) or raw.get("kind") != "bench":
        raise RecordError(f"{name} is not a benchmark record; fcn-deploy bench --json writes one")
    schema = raw.get("schema")
    if schema not in (*OLD_ROWS, SCHEMA):
        newer = "; a newer fcn-deploy wrote it, install that one" if isinstance(schema, int) and schema > SCHEMA else ""
        raise RecordError(f"{name} has schema {schema}; this version reads schema 1, 2 and 3{newer}")
    given = {"rows": decode_old_rows(raw, name)} if schema in OLD_ROWS else {}
    record = decode(Record, raw, name, RecordError, given=given)
    check_record(record, name)
    return record


def write_record(path: Path, record: Record) -> None:
    """Write whole or not at all; OutputError if it cannot be written."""
    write_text(path, to_json(record) + "\n")


def read_record(path: Path) -> Record:
    """Read a record file; RecordError if it is missing or is not one."""
    try:
        return from_json(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError as error:
        raise RecordError(f"{path} does not exist; expected a record; fcn-deploy bench --json writes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from error


@dataclass(frozen=True)
class _Cell:
    shape: Shape
    latency: Latency
    saturated: Saturated | None = None
    memory: Memory | None = None
    accuracy: Accuracy | None = None


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
        found += [Measurement(one.shape, one.latency, one.saturated, one.memory, one.accuracy) for one in self.cells]
        return Row(self.runner, self.status, self.reason, self.notes, self.built, tuple(found))


@dataclass(frozen=True)
class _OldRecord:
    rows: tuple[_OldRow, ...]


def decode_old_rows(raw: Any, source: str) -> tuple[Row, ...]:
    """Read the rows of a record of schema 1 or 2; RecordError with the place if they cannot be read."""
    return tuple(row.as_row() for row in decode(_OldRecord, raw, source, RecordError).rows)
