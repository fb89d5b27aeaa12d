"""Render a comparison with a baseline as a table, as lines, and as plain data."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from fcn_deploy.benchmark.baseline.changes import RowChange
from fcn_deploy.benchmark.baseline.compare import Comparison
from fcn_deploy.benchmark.baseline.significance import Ratio
from fcn_deploy.benchmark.report.details import interval
from fcn_deploy.benchmark.report.sheets import Sheet
from fcn_deploy.benchmark.report.tables import Fitted
from fcn_deploy.system.formatting import NONE, milliseconds, number
from fcn_deploy.vocabulary import shape_text


def render(found: Comparison) -> RenderableType:
    """Render a line for each runner and shape, then what could not be compared and why."""
    sheet = comparison_sheet(found)
    return Group(Text(sheet.title), "", Fitted(sheet), "", *map(Text, remarks(found)))


def comparison_sheet(found: Comparison) -> Sheet:
    """Return times and accuracies then and now."""
    reference = found.reference[0] if found.relative and found.reference else ""
    change = f"time over {reference}'s" if reference else "time"
    heads = ("runner", "ms then", "now", change, "", "mIoU then", "now", "points")
    rows = tuple(cells for row in found.rows for cells in _cells(row))
    return Sheet(f"Against the baseline of {found.created}", heads, rows, words=(0, 4))


def _cells(row: RowChange) -> list[tuple[str, ...]]:
    accuracy: tuple[str, ...] = (NONE,) * 3
    if row.accuracy is not None:
        then, now = number(row.accuracy.before, 2), number(row.accuracy.after, 2)
        accuracy = (then, now, interval(row.accuracy.change))
    if not row.speed:
        state = "" if row.fate == "compared" else row.fate
        return [(row.runner, NONE, NONE, NONE, state, *accuracy)]
    lines = []
    for change in row.speed:
        name = row.runner if change.shape is None else f"{row.runner} {shape_text(change.shape)}"
        times = milliseconds(change.before_ms), milliseconds(change.after_ms)
        lines.append((name, *times, percent(change.ratio), verdict(change.ratio), *accuracy))
        accuracy = ("",) * 3  # only next to the row's first times
    return lines


def verdict(ratio: Ratio) -> str:
    """Return what the interval says, or that there is none."""
    if ratio.low is None:
        return "too few rounds"
    return "slower" if ratio.longer else "faster" if ratio.shorter else "equal"


def percent(ratio: Ratio) -> str:
    """Write "+7.1 % (+5.9 to +8.3)"."""
    value = f"{100 * (ratio.value - 1):+.1f} %"
    if ratio.low is None or ratio.high is None:
        return value
    return f"{value} ({100 * (ratio.low - 1):+.1f} to {100 * (ratio.high - 1):+.1f})"


def remarks(found: Comparison) -> list[str]:
    """Return what is not compared and why, what else differs, what the columns mean."""
    lines = [f"{row.runner}: {row.reason}" for row in found.rows if row.reason]
    if found.no_speed:
        lines.append(f"times are not compared, accuracy alone is: {found.no_speed}")
    if found.reference is not None and not found.relative and (found.reference[1].longer or found.reference[1].shorter):
        name, ratio = found.reference
        lines.append(
            f"{name} itself took {percent(ratio)} of time: if its version is the same, the machine was "
            f"{'slower' if ratio.longer else 'faster'}; --relative compares shares of its time"
        )
    return [*lines, *found.remarks, *([""] if lines or found.remarks else []), _meaning(found.rows)]


def _meaning(rows: Sequence[RowChange]) -> str:
    changes = [row.accuracy for row in rows if row.accuracy is not None]
    sentences = ["In brackets 95 % intervals: of times from blocks of rounds;"]
    if any(change.paired for change in changes):
        sentences.append("of points from paired draws of the images;")
    if any(not change.paired for change in changes):
        sentences.append("points without brackets are bare differences, for want of counts of each image;")
    return " ".join([*sentences, "equal: not distinguished from chance. Two runs differ as wholes by more than that."])
