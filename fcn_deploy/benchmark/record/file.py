"""A record as JSON: written with a summary for readers without this package, read back from the samples alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fcn_deploy.benchmark.record.check import check_record
from fcn_deploy.benchmark.record.summary import summarise
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.errors import RecordError
from fcn_deploy.system.decode import decode, parse_json
from fcn_deploy.system.files import write_text
from fcn_deploy.system.plain import plain

SCHEMA = 2
# Schema 2 added fields alone: a record of schema 1 is one that did not measure them.
READABLE = (1, 2)


def to_json(record: Record) -> str:
    """The record as JSON, with a `summary` in each row for readers without this package; it is not read back."""
    whole: dict[str, Any] = {"schema": SCHEMA, "kind": "bench"} | plain(record)
    for row, source in zip(whole["rows"], record.rows, strict=True):
        row["summary"] = summarise(record, source)
    return json.dumps(whole, allow_nan=False)


def from_json(text: str, name: str = "record") -> Record:
    """Read what `to_json` wrote.

    Raises:
        RecordError: not JSON, of another kind or schema, or a value that is missing or of the wrong type.
    """
    raw = parse_json(text, name, RecordError)
    if not isinstance(raw, dict) or raw.get("kind") != "bench":
        raise RecordError(f"{name} is not a benchmark record; fcn-deploy bench --json writes one")
    schema = raw.get("schema")
    if schema not in READABLE:
        newer = "; a newer fcn-deploy wrote it, install that one" if isinstance(schema, int) and schema > SCHEMA else ""
        raise RecordError(f"{name} has schema {schema}; this version reads schema 1 and 2{newer}")
    record = decode(Record, raw, name, RecordError)
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
        raise RecordError(f"{path} does not exist; needed is a record, which fcn-deploy bench --json writes") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from error
