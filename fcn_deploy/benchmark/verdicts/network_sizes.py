"""Answer whether a network may run at another size: what each size gains in time and loses against the model's own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fcn_deploy.benchmark.record.summary import mean_change
from fcn_deploy.benchmark.record.types import BenchmarkedModel, Record, Row
from fcn_deploy.benchmark.verdicts.doubts import lost
from fcn_deploy.benchmark.verdicts.speed import SpeedUp, median_ms, speed_up
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.budget import Verdict, judge_loss
from fcn_deploy.network_size import NetworkSize, size_words

FULL = "full size"


@dataclass(frozen=True)
class SizeAnswer:
    """One runner at one network size, next to the same runner at the size of the first file.

    Attributes:
        row: the name of the row.
        size: as `NetworkSize.parse` reads it, "1" for the images' own.
        than: what it is compared with, "full size" or "0.75".
        median_ms, speed_up: None where a row was not timed.
        change: points of mIoU of the labels of the images' size; None without a ground truth.
        verdict: whether it loses at most the limit, None without a change.
        enlarges: whether most images become larger, which costs time and shows the network nothing new.
    """

    row: str
    size: str
    runner: str
    than: str
    median_ms: float | None
    speed_up: SpeedUp | None
    change: Interval | None
    verdict: Verdict | None
    enlarges: bool


def size_answers(record: Record, limit: float) -> tuple[SizeAnswer, ...]:
    """Return an answer for each row of a file with another network size than the first, if the first has such a row."""
    own, rows = _size(record.model), {(row.file, row.runner): row for row in record.rows}
    found = []
    for model in record.others:
        size = _size(model)
        if own is None or size is None or size == own:
            continue
        for row in record.rows:
            before = rows.get((record.model.label, row.runner))
            if row.file == model.label and row.status == "ok" and before is not None:
                found.append(_answer(record, before, row, own, size, limit))
    return tuple(found)


def _answer(record: Record, before: Row, row: Row, own: str, size: str, limit: float) -> SizeAnswer:
    than = size_words(own) if own else FULL
    faster = speed_up(record, row, before)
    known = before.own.accuracy is not None and row.own.accuracy is not None
    change = mean_change(before.own.accuracy, row.own.accuracy) if known else None  # type: ignore[arg-type]
    return SizeAnswer(
        row=row.name,
        size=size_words(size),
        runner=row.runner,
        than=than,
        median_ms=median_ms(record, row),
        speed_up=None if faster is None else replace(faster, than=than),
        change=change,
        verdict=None if change is None else judge_loss(lost(change), limit),
        enlarges=_enlarges(record, size),
    )


def _size(model: BenchmarkedModel) -> str | None:
    """Return the network size of a file's card; None without a card."""
    return None if model.card is None else str(model.card.get("network_size", ""))


def _enlarges(record: Record, size: str) -> bool:
    most = max(record.data.sizes, key=lambda found: found[2], default=None)
    if most is None:
        return False
    height, width = NetworkSize.parse(size).of(most[:2])
    return height * width > most[0] * most[1]
