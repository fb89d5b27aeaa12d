"""Limits on what may get worse since the baseline, and why a comparison does not keep them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fcn_deploy.benchmark.baseline.compare import AccuracyChange, Comparison, RowChange
from fcn_deploy.benchmark.baseline.significance import MIN_ROUNDS
from fcn_deploy.benchmark.baseline.speed_change import SpeedChange, ms_text
from fcn_deploy.vocabulary import shape_text


@dataclass(frozen=True)
class Limits:
    """How much worse a row may be than in the baseline; None: by any amount.

    Attributes:
        miou_drop: points of mean IoU that a row may lose.
        slowdown: share of its time that a row may take longer (0.05: five per cent).
    """

    miou_drop: float | None = None
    slowdown: float | None = None


def violations(comparison: Comparison, limits: Limits) -> list[str]:
    """Return one line for each limit that a row breaks: which row, by how much, on what evidence.

    A limit is broken by a change beyond it that is also more than chance explains: 95 % intervals, of times from
    blocks of rounds, of mean IoU from paired images; where there are no counts of each image, any drop beyond the limit
    breaks it. A row that was measured then and cannot be now breaks every limit.
    """
    return [line for row in comparison.rows for line in _broken(comparison, row, limits)]


def unchecked(comparison: Comparison, limits: Limits) -> list[str]:
    """Return one line for each limit that could not be checked, and why: a gate that checks nothing says so."""
    lines = []
    if limits.slowdown is not None:
        if comparison.no_speed:
            lines.append(f"--max-slowdown was not judged: {comparison.no_speed}")
        lines += [
            f"--max-slowdown was not judged for {row.runner}: fewer than {MIN_ROUNDS} rounds (--seconds, --iterations)"
            for row in comparison.rows
            if any(change.ratio.low is None for change in row.speed)
        ]
    return lines + [f"{row.runner}: {row.reason}" for row in comparison.rows if row.fate == "gone"]


def _broken(comparison: Comparison, row: RowChange, limits: Limits) -> Iterator[str]:
    if row.fate == "lost" and limits != Limits():
        yield f"{row.runner}: {row.reason}"
    drop = row.accuracy
    if limits.miou_drop is not None and drop is not None and drop.lower and -drop.change.value > limits.miou_drop:
        yield f"{row.runner}: {accuracy_words(drop)}; at most {limits.miou_drop:g} are allowed"
    for change in row.speed:
        found = change.ratio
        if limits.slowdown is not None and found.longer and found.value > 1 + limits.slowdown:
            yield f"{row.runner}{speed_words(change, comparison)}; at most {100 * limits.slowdown:g} % is allowed"


def accuracy_words(drop: AccuracyChange) -> str:
    """ "mean IoU fell by 0.52 points, 58.35 to 57.83 (95 % interval over the images: 0.31 to 0.80)"."""
    change = drop.change
    if change.low is None or change.high is None:
        evidence = "the bare difference: no counts of each image on both sides"
    else:
        evidence = f"95 % interval over the images: {-change.high:.2f} to {-change.low:.2f}"
    return f"mean IoU fell by {-change.value:.2f} points, {drop.before:.2f} to {drop.after:.2f} ({evidence})"


def speed_words(change: SpeedChange, comparison: Comparison) -> str:
    """ " at 1x360x480: 7.1 % slower, 20.0 to 21.4 ms (95 % interval: 5.9 to 8.3 %), most of it in compute"."""
    where = "" if change.shape is None else f" at {shape_text(change.shape)}"
    low, high = change.ratio.low, change.ratio.high
    interval = (
        "" if low is None or high is None else f", 95 % interval: {100 * (low - 1):.1f} to {100 * (high - 1):.1f} %"
    )
    against = f" against {comparison.reference[0]}" if comparison.relative and comparison.reference else ""
    return (
        f"{where}: {100 * (change.ratio.value - 1):.1f} % slower{against} ({ms_text(change.before_ms)} ms then, "
        f"{ms_text(change.after_ms)} now{interval}), most of it in {change.step}"
    )
