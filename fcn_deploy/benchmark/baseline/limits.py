"""Judge what changed of each row against a baseline by limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fcn_deploy.benchmark.baseline.changes import RowChange
from fcn_deploy.benchmark.baseline.significance import MIN_ROUNDS, Ratio
from fcn_deploy.benchmark.baseline.speed_change import SpeedChange
from fcn_deploy.benchmark.gate.checks import SLOWDOWN, GateCheck
from fcn_deploy.benchmark.record.accuracy import image_counts
from fcn_deploy.benchmark.record.measurement import Accuracy
from fcn_deploy.metrics.budget import AccuracyBudget, Verdict, judge, not_judged
from fcn_deploy.system.formatting import short_ms
from fcn_deploy.vocabulary import shape_text

AccuracyPair = tuple[Accuracy | None, Accuracy | None]


@dataclass(frozen=True)
class Limits:
    """How much worse a row may be than in the baseline.

    A slowdown breaks its limit if it is beyond it and more than chance explains: 95 % intervals from blocks of rounds.
    A row that was measured then and cannot be now breaks every limit.

    Attributes:
        accuracy: points of IoU that a row may lose; `metrics.budget` judges them.
        slowdown: share of its time that a row may take longer (0.05: five per cent); None: any.
    """

    accuracy: AccuracyBudget = field(default_factory=AccuracyBudget)
    slowdown: float | None = None

    def __bool__(self) -> bool:
        return bool(self.accuracy) or self.slowdown is not None

    def forbid_slowdown(self, ratio: Ratio) -> bool:
        return self.slowdown is not None and ratio.longer and ratio.value > 1 + self.slowdown

    @property
    def words(self) -> tuple[str, ...]:
        """Every limit as it is typed."""
        accuracy = tuple(limit.words for limit in self.accuracy.limits)
        return accuracy if self.slowdown is None else (*accuracy, f"{SLOWDOWN} {100 * self.slowdown:g}%")


@dataclass(frozen=True)
class JudgedAgainst:
    """What the rows are judged by.

    Attributes:
        classes: names, index = label.
        no_speed: why times are not compared; "" if they are.
        reference: the reference row's name, where times are shares of its time; else "".
    """

    limits: Limits
    classes: tuple[str, ...]
    no_speed: str = ""
    reference: str = ""


def check_row(row: RowChange, pair: AccuracyPair, judged: JudgedAgainst) -> Iterator[GateCheck]:
    """Judge one row by every limit; a row that is not in the baseline has nothing to be judged by.

    Args:
        pair: its accuracy then and now.
    """
    limits = judged.limits
    if row.fate in ("lost", "gone"):
        verdict: Verdict = "broken" if row.fate == "lost" else "not judged"
        yield from (GateCheck(row.runner, words, verdict, row.reason) for words in limits.words)
    elif row.fate == "compared":
        before, after = pair
        if before is None or after is None:
            found = not_judged(limits.accuracy, "it is not scored on both sides (label maps)")
        else:
            found = judge(image_counts(before), image_counts(after), limits.accuracy, judged.classes)
        yield from (GateCheck.of(row.runner, each) for each in found)
        if limits.slowdown is not None:
            yield _check_speed(row, judged)


def _check_speed(row: RowChange, judged: JudgedAgainst) -> GateCheck:
    limits, words = judged.limits, judged.limits.words[-1]
    broken = [change for change in row.speed if limits.forbid_slowdown(change.ratio)]
    if broken:
        sentences = " and ".join(_speed_words(change, judged.reference) for change in broken)
        return GateCheck(
            row.runner, words, "broken", f"{sentences}; at most {100 * (limits.slowdown or 0):g} % is allowed"
        )
    reason = judged.no_speed or ("" if row.speed else row.reason or "not timed on both sides")
    if not reason and any(change.ratio.low is None for change in row.speed):
        reason = f"fewer than {MIN_ROUNDS} rounds (--seconds, --iterations)"
    if reason:
        return GateCheck(row.runner, words, "not judged", f"{SLOWDOWN}: {reason}")
    worst = max(row.speed, key=lambda change: change.ratio.value)
    return GateCheck(row.runner, words, "passed", f"{100 * (worst.ratio.value - 1):+.1f} % of time at most")


def _speed_words(change: SpeedChange, against: str) -> str:
    """Write "at 1x360x480: 7.1 % slower, 20.0 to 21.4 ms (95 % interval: 5.9 to 8.3 %), most of it in compute"."""
    where = "" if change.shape is None else f"at {shape_text(change.shape)}: "
    low, high = change.ratio.low, change.ratio.high
    interval = (
        "" if low is None or high is None else f", 95 % interval: {100 * (low - 1):.1f} to {100 * (high - 1):.1f} %"
    )
    than = f" against {against}" if against else ""
    return (
        f"{where}{100 * (change.ratio.value - 1):.1f} % slower{than} ({short_ms(change.before_ms)} ms then, "
        f"{short_ms(change.after_ms)} now{interval}), most of it in {change.step}"
    )
