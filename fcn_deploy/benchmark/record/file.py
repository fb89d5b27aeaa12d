"""Write a record as JSON with a summary for other programs, and read it back from the samples alone."""

from __future__ import annotations

import json
from pathlib import Path

from fcn_deploy.benchmark.plain import SCHEMA, to_plain
from fcn_deploy.benchmark.record.check import check_record
from fcn_deploy.benchmark.record.old_rows import decode_old_rows
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.errors import RecordError
from fcn_deploy.system.decode import decode, parse_json
from fcn_deploy.system.files import write_text

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
