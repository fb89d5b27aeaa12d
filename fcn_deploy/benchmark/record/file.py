"""Write a record as JSON with a summary for other programs; read it back from the samples alone, and check it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from fcn_deploy.benchmark.plain import SCHEMA, to_plain
from fcn_deploy.benchmark.record.measurement import (
    Accuracy,
    Agreed,
    Agreement,
    Counts,
    Latency,
    MarginAgreed,
    Measurement,
)
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.errors import RecordError
from fcn_deploy.system.apart import reads
from fcn_deploy.system.files import require_plain, write_text
from fcn_deploy.system.formatting import count
from fcn_deploy.system.serialization.decode import decode, is_schema, parse_json
from fcn_deploy.vocabulary import shape_text

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
    if not is_schema(schema, *OLD_ROWS, SCHEMA):
        newer = "; a newer fcn-deploy wrote it, install that one" if isinstance(schema, int) and schema > SCHEMA else ""
        raise RecordError(f"{name} has schema {schema}; this version reads schema 1, 2 and 3{newer}")
    given = {}
    if schema in OLD_ROWS:
        given["rows"] = tuple(row.as_row() for row in decode(_OldRecord, raw, name, RecordError).rows)
    record = decode(Record, raw, name, RecordError, given=given)
    check_record(record, name)
    return record


def write_record(path: Path, record: Record) -> None:
    """Write whole or not at all; OutputError if it cannot be written."""
    write_text(path, to_json(record) + "\n")


def read_record(path: Path) -> Record:
    """Read a record file; RecordError if it is missing or is not one."""
    reads(path)
    try:
        return from_json(require_plain(path).read_text(encoding="utf-8"), path.name)
    except FileNotFoundError as error:
        raise RecordError(f"{path} does not exist; expected a record; fcn-deploy bench --json writes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


@dataclass(frozen=True)
class _OldRow(Measurement, Row):
    """A row of schema 1 or 2: the fields of its own measurement are the row's; `cells` are those on resized images."""

    cells: tuple[Measurement, ...] = ()

    def as_row(self) -> Row:
        own = Measurement(**{field.name: getattr(self, field.name) for field in fields(Measurement)})
        measurements = (*(() if own == Measurement() else (own,)), *self.cells)
        return Row(self.runner, self.status, self.reason, self.notes, self.built, measurements)


@dataclass(frozen=True)
class _OldRecord:
    rows: tuple[_OldRow, ...]


@dataclass(frozen=True)
class Environment:
    """What is read of a record's environment; other keys are ignored."""

    cores: dict[str, int | None] | None = None
    packages: dict[str, str] | None = None
    gpus: tuple[str, ...] | None = None
    torch: dict[str, object] | None = None


@dataclass(frozen=True)
class Card:
    """What is read of a record's model card."""

    model: str
    classes: tuple[str, ...]


def check_record(record: Record, name: str) -> None:
    """Raise RecordError where parts of the record contradict each other: a file that was cut, merged or edited."""
    decode(Environment, record.environment, f"{name}: environment", RecordError)
    if record.model.card is not None:
        decode(Card, record.model.card, f"{name}: model.card", RecordError)
    if not record.rows:
        raise RecordError(f"{name} has no rows; expected one for each runner; measure it again with bench --json")
    if any(not 0 <= index < len(record.shapes) for index in record.rounds):
        raise RecordError(f"{name} has rounds of shapes that it does not list")
    found = next((fault for row in record.rows for fault in _row(record, row)), None)
    if found is None and record.reference is not None:
        found = next((f"the reference {fault}" for fault in _accuracy(record, record.reference.accuracy)), None)
    if found is not None:
        raise RecordError(f"{name}: {found}")


def _row(record: Record, row: Row) -> Iterator[str]:
    shapes = [found.shape for found in row.measurements]
    if len(set(shapes)) < len(shapes):
        yield f"{row.name} has two measurements of one shape"
    for found in row.measurements:
        name = row.name if found.shape is None else f"{row.name} at {shape_text(found.shape)}"
        yield from (f"{name} {fault}" for fault in _measurement(record, found))


def _measurement(record: Record, found: Measurement) -> Iterator[str]:
    if found.latency is not None:
        rounds = len(record.rounds) if found.shape is None else len(found.latency.execute_ns)
        yield from _latency(found.latency, rounds)
    saturated = found.saturated
    if saturated is not None and (saturated.seconds <= 0 or saturated.images < 0):
        yield f"has {saturated.images} images in {saturated.seconds:g} s"
    for load in found.loads:
        under = f"under {count(load.streams, 'stream')}"
        if not load.latency_ns:
            yield f"has no images {under}"
        elif min(load.latency_ns) <= 0:
            yield f"has an image {under} that took no time or less"
    yield from _accuracy(record, found.accuracy)
    yield from _agreement(found.agreement)


def _latency(latency: Latency, rounds: int) -> Iterator[str]:
    steps = [step for clock in (latency, latency.device) if clock is not None for step in clock.steps]
    lengths = sorted({len(step) for step in steps})
    if lengths != [rounds]:
        yield f"has {lengths} samples for {rounds} rounds"
    elif rounds == 0:
        yield "has no samples"
    elif min(map(min, steps)) < 0 or min(map(sum, zip(*latency.steps, strict=True))) <= 0:
        yield "has an inference that took no time or less"


def _accuracy(record: Record, accuracy: Accuracy | None) -> Iterator[str]:
    if accuracy is None:
        return
    side = len(accuracy.overall)
    if side not in (len(record.data.classes), max(1, len(record.data.classes))):
        yield f"has counts of {side} classes, and the data has {len(record.data.classes)}"
    elif not all(
        _is_counted(counts, side)
        for counts in (accuracy.overall, accuracy.boundary, *accuracy.by_image, *accuracy.boundary_by_image)
    ):
        yield f"has counts that are no matrix of {side} by {side} numbers of pixels"
    elif accuracy.boundary_iou and not _are_regions(accuracy.boundary_iou, side):
        yield f"has counts of Boundary IoU that are no 3 by {side} numbers of pixels"


def _is_counted(counts: Counts, side: int) -> bool:
    return len(counts) == side and all(len(row) == side and min(row, default=0) >= 0 for row in counts)


def _are_regions(counts: Counts, side: int) -> bool:
    if len(counts) != 3 or any(len(row) != side for row in counts):
        return False
    return all(0 <= both <= min(regions) for both, *regions in zip(*counts, strict=True))


def _agreement(agreement: Agreement | None) -> Iterator[str]:
    if agreement is None:
        return
    parts: list[Agreed | MarginAgreed] = [agreement.overall, agreement.boundary, *agreement.by_margin]
    if any(not 0 <= part.agreed <= part.pixels for part in parts):
        yield "agrees at more pixels than there are, or at fewer than none"
