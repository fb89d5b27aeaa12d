"""Check what a record's types do not say: lists of one length, square matrices, times above zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fcn_deploy.benchmark.record.measurement import (
    Accuracy,
    Agreed,
    Agreement,
    Counts,
    Latency,
    MarginAgreed,
    Measurement,
    Saturated,
)
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.errors import RecordError
from fcn_deploy.system.decode import decode
from fcn_deploy.vocabulary import shape_text


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
    if min(record.settings.batch, record.settings.threads) < 1:
        raise RecordError(f"{name} has a batch or a number of threads below 1")
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
        yield f"{row.runner} has two measurements of one shape"
    for found in row.measurements:
        name = row.runner if found.shape is None else f"{row.runner} at {shape_text(found.shape)}"
        yield from (f"{name} {fault}" for fault in _measurement(record, found))


def _measurement(record: Record, found: Measurement) -> Iterator[str]:
    if found.latency is not None:
        rounds = len(record.rounds) if found.shape is None else len(found.latency.execute_ns)
        yield from _latency(found.latency, rounds)
    yield from _saturated(found.saturated)
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


def _saturated(saturated: Saturated | None) -> Iterator[str]:
    if saturated is not None and (saturated.seconds <= 0 or saturated.images < 0):
        yield f"has {saturated.images} images in {saturated.seconds:g} s"


def _accuracy(record: Record, accuracy: Accuracy | None) -> Iterator[str]:
    if accuracy is None:
        return
    side = len(accuracy.overall)
    if side not in (len(record.data.classes), max(1, len(record.data.classes))):
        yield f"has counts of {side} classes, and the data has {len(record.data.classes)}"
    elif not all(_is_counted(counts, side) for counts in (accuracy.overall, accuracy.boundary, *accuracy.by_image)):
        yield f"has counts that are no matrix of {side} by {side} numbers of pixels"


def _is_counted(counts: Counts, side: int) -> bool:
    rows: Sequence[tuple[int, ...]] = counts
    return len(rows) == side and all(len(row) == side and min(row, default=0) >= 0 for row in rows)


def _agreement(agreement: Agreement | None) -> Iterator[str]:
    if agreement is None:
        return
    parts: list[Agreed | MarginAgreed] = [agreement.overall, agreement.boundary, *agreement.by_margin]
    if any(not 0 <= part.agreed <= part.pixels for part in parts):
        yield "agrees at more pixels than there are, or at fewer than none"
