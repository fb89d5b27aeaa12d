"""Decide which changes break a limit, and say so in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fcn_deploy.benchmark.baseline.changes import AccuracyChange, RowChange
from fcn_deploy.benchmark.baseline.significance import MIN_ROUNDS, Ratio
from fcn_deploy.benchmark.baseline.speed_change import SpeedChange
from fcn_deploy.system.formatting import short_ms
from fcn_deploy.vocabulary import shape_text


@dataclass(frozen=True)
class Limits:
    """How much worse a row may be than in the baseline; None: by any amount.

    A limit is broken by a change beyond it that is also more than chance explains: 95 % intervals, of times from
    blocks of rounds, of mean IoU from paired images; where there are no counts of each image, any drop beyond the limit
    breaks it. A row that was measured then and cannot be now breaks every limit.

    Attributes:
        miou_drop: points of mean IoU that a row may lose.
        slowdown: share of its time that a row may take longer (0.05: five per cent).
    """

    miou_drop: float | None = None
    slowdown: float | None = None

    def forbid_drop(self, drop: AccuracyChange) -> bool:
        return self.miou_drop is not None and drop.lower and -drop.change.value > self.miou_drop

    def forbid_slowdown(self, ratio: Ratio) -> bool:
        return self.slowdown is not None and ratio.longer and ratio.value > 1 + self.slowdown


def broken_limits(rows: Sequence[RowChange], limits: Limits, against: str = "") -> tuple[str, ...]:
    """Write one line for each limit that a row breaks: which row, by how much, on what evidence.

    Args:
        against: the reference row's name, where times are shares of its time.
    """
    return tuple(line for row in rows for line in _broken(row, limits, against))


def _broken(row: RowChange, limits: Limits, against: str) -> Iterator[str]:
    if row.fate == "lost" and limits != Limits():
        yield f"{row.runner}: {row.reason}"
    if row.accuracy is not None and limits.forbid_drop(row.accuracy):
        yield f"{row.runner}: {_accuracy_words(row.accuracy)}; at most {limits.miou_drop:g} are allowed"
    for change in row.speed:
        if limits.slowdown is not None and limits.forbid_slowdown(change.ratio):
            yield f"{row.runner}{_speed_words(change, against)}; at most {100 * limits.slowdown:g} % is allowed"


def _accuracy_words(drop: AccuracyChange) -> str:
    """Write "mean IoU fell by 0.52 points, 58.35 to 57.83 (95 % interval over the images: 0.31 to 0.80)"."""
    change = drop.change
    if change.low is None or change.high is None:
        evidence = "the bare difference: no counts of each image on both sides"
    else:
        evidence = f"95 % interval over the images: {-change.high:.2f} to {-change.low:.2f}"
    return f"mean IoU fell by {-change.value:.2f} points, {drop.before:.2f} to {drop.after:.2f} ({evidence})"


def _speed_words(change: SpeedChange, against: str) -> str:
    """Write " at 1x360x480: 7.1 % slower, 20.0 to 21.4 ms (95 % interval: 5.9 to 8.3 %), most of it in compute"."""
    where = "" if change.shape is None else f" at {shape_text(change.shape)}"
    low, high = change.ratio.low, change.ratio.high
    interval = (
        "" if low is None or high is None else f", 95 % interval: {100 * (low - 1):.1f} to {100 * (high - 1):.1f} %"
    )
    than = f" against {against}" if against else ""
    return (
        f"{where}: {100 * (change.ratio.value - 1):.1f} % slower{than} ({short_ms(change.before_ms)} ms then, "
        f"{short_ms(change.after_ms)} now{interval}), most of it in {change.step}"
    )


def unjudged_limits(rows: Sequence[RowChange], limits: Limits, no_speed: str) -> tuple[str, ...]:
    """Write one line for each limit that could not be judged, and why: a gate that judges nothing says so.

    Args:
        no_speed: why times are not compared; "" if they are.
    """
    lines = []
    if limits.slowdown is not None:
        if no_speed:
            lines.append(f"--max-slowdown was not judged: {no_speed}")
        lines += [
            f"--max-slowdown was not judged for {row.runner}: fewer than {MIN_ROUNDS} rounds (--seconds, --iterations)"
            for row in rows
            if any(change.ratio.low is None for change in row.speed)
        ]
    return (*lines, *(f"{row.runner}: {row.reason}" for row in rows if row.fate == "gone"))
