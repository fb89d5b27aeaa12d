"""Build the top of the page: the answer in one line and three figures, what to make, and what is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fcn_deploy.benchmark.record.summary import speed
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.report.answer import AnswerLine, answer_lines, signed
from fcn_deploy.benchmark.verdicts.answer import BenchAnswer, answer
from fcn_deploy.benchmark.verdicts.speed import WIDE
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.system.formatting import NONE, count, factor, milliseconds, points, share

# The lines of the answer that the figures and the banner show in its place.
FIGURES = ("speed", "cost", "labels")
# Those that the table of the limits shows.
JUDGED = ("broken", "not judged")


@dataclass(frozen=True)
class Figure:
    """One large figure: what it is, its value and unit, and what qualifies it, a line each."""

    label: str
    value: str
    unit: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Top:
    """What a reader sees first.

    Attributes:
        headline: which row to ship.
        banner: that the machine was busy; "" if it was not, as far as the record says.
        lines: file, command, rows that break a limit, and what is not known.
    """

    headline: AnswerLine
    figures: tuple[Figure, ...]
    banner: str
    lines: tuple[AnswerLine, ...]


def top(record: Record, budget: AccuracyBudget | None = None, *, limits_shown: bool = False) -> Top:
    """Return the answer of a record as the page shows it; no figures where no row is named.

    Args:
        limits_shown: whether a table of the limits follows, which says what became of the rows that are not shipped.
    """
    found = answer(record, budget)
    headline, *lines = answer_lines(found)
    busy = next((doubt.text for doubt in found.unknown if doubt.about == "busy"), "")
    elsewhere = (*FIGURES, *(JUDGED if limits_shown else ()))
    kept = tuple(line for line in lines if line.label not in elsewhere and line.text != busy)
    return Top(headline, tuple(_figures(record, found)), _banner(busy), kept)


def _banner(busy: str) -> str:
    """Write "The machine was busy: other processes kept ..."."""
    return busy and f"The machine was busy: {busy.partition(': ')[2]}"


def _figures(record: Record, found: BenchAnswer) -> Iterator[Figure]:
    if found.place is None:
        return
    timed = speed(record, record.rows[found.place].own)
    assert timed is not None  # the answer was timed
    batch = record.settings.batch
    images = "an image" if batch == 1 else f"a batch of {count(batch, 'image')}"
    notes = (f"median of {images}", f"p90 {milliseconds(timed.p90_ms)} ms")
    yield Figure("Latency", milliseconds(timed.median_ms), "ms", notes)
    yield _speed_up(found)
    yield _cost(found)


def _speed_up(found: BenchAnswer) -> Figure:
    faster = found.speed_up
    if faster is None:
        known = any(doubt.about == "pytorch" for doubt in found.unknown)
        why = "PyTorch was not timed" if known else "the others are compared with it"
        return Figure("Speed-up", NONE, "", (why,))
    interval = _ends(faster.low, faster.high, factor)
    if faster.is_wide:
        interval = (f"not known within a factor of {WIDE}",)
    return Figure("Speed-up", factor(faster.value), "×", (f"as fast as {faster.than}", *interval))


def _cost(found: BenchAnswer) -> Figure:
    if found.is_reference:
        return Figure("Cost", "0", "points", ("of mIoU: the others are compared with it",))
    if found.cost is not None:
        notes = ["of mIoU", *_ends(found.cost.low, found.cost.high, "{:+.2f}".format)]
        if found.worst_class is not None:
            notes.append(f"worst class: {found.worst_class.name} {signed(found.worst_class.change)}")
        label = "Gain" if found.cost.value > 0 else "Cost"
        return Figure(label, points(found.cost.value), "points", tuple(notes))
    if found.agreed is not None and found.agreed.pixels:
        agreed = share(found.agreed.agreed, found.agreed.pixels)
        return Figure("Equal labels", agreed, "%", (f"with {found.reference}", "mIoU is not known: no label maps"))
    return Figure("Cost", NONE, "", ("nothing is known of it",))


def _ends(low: float | None, high: float | None, write: Callable[[float], str]) -> tuple[str, ...]:
    """Return "95 %: 1.05 to 3.79"; nothing where there is no interval, or one of no width."""
    return () if low is None or high is None or low == high else (f"95 %: {write(low)} to {write(high)}",)
