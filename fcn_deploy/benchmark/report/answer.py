"""Write the answer of a benchmark in a few lines: what to ship, its speed, its cost, its file, what is not known."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from fcn_deploy.benchmark.verdicts.answer import BenchAnswer
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.runners.registry import RUNNERS
from fcn_deploy.system.formatting import points, share, short_ms

NARROWEST = 40
UNIT = " points of mIoU"


@dataclass(frozen=True)
class AnswerLine:
    """A line of the answer; `command` if it is one, to be copied into a shell."""

    label: str
    text: str
    command: bool = False


def answer_lines(found: BenchAnswer) -> list[AnswerLine]:
    """Return the lines, what to ship first."""
    lines = [AnswerLine(*_ship(found))]
    if found.median_ms is not None:
        speed = "" if found.speed_up is None else f", {found.speed_up}"
        lines.append(AnswerLine("speed", f"{short_ms(found.median_ms)} ms{speed}"))
    if cost := _cost(found):
        lines.append(AnswerLine("cost", cost))
    lines += _file(found)
    lines += [AnswerLine("harmed", f"{row.row}: {_harm(row.cost, row.speed_up)}") for row in found.harmed]
    return [*lines, *(AnswerLine("not known", doubt.text) for doubt in found.unknown)]


def _ship(found: BenchAnswer) -> tuple[str, str]:
    if found.row is None:
        why = f"each row that was timed loses more than {found.limit:g} points of mIoU" if found.harmed else ""
        return "ship", f"none: {why or 'no row was timed with its accuracy'}"
    named = f"{found.row}{_what(found)}"
    return ("ship", named) if found.judged else ("fastest", f"{named}; whether it is unharmed was not measured")


def _what(found: BenchAnswer) -> str:
    """Write " (fcn8s.int8.cpu.onnx in OpenVINO)"."""
    if found.file is None or found.row is None:
        return ""
    runner = found.runner.partition(":")[0]
    title = RUNNERS[runner].title if runner in RUNNERS else runner
    return f" ({found.file.name} in {title})"


def _cost(found: BenchAnswer) -> str:
    if found.is_reference:
        return "none: the others are compared with it"
    parts = []
    if found.cost is not None:
        parts.append(signed(found.cost, UNIT))
    if found.worst_class is not None:
        parts.append(f"worst class: {found.worst_class.name} {signed(found.worst_class.change)}")
    if found.agreed is not None and found.agreed.pixels and not found.judged:
        agreed = share(found.agreed.agreed, found.agreed.pixels)
        parts.append(f"{agreed} % of the pixels have the label of {found.reference}")
    return "; ".join(parts)


def signed(change: Interval, unit: str = "") -> str:
    """Write "-0.09 points of mIoU (-0.14 to -0.03)"; "0" for no change at all."""
    value = f"{points(change.value)}{unit}"
    if change.low is None or change.high is None or change.low == change.high:
        return value
    return f"{value} ({change.low:+.2f} to {change.high:+.2f})"


def _file(found: BenchAnswer) -> Iterator[AnswerLine]:
    file = found.file
    if file is None:
        return
    if file.kept:
        yield AnswerLine("file", file.kept)
    if file.command:
        yield AnswerLine("make it", file.command, command=True)


def _harm(cost: Interval, speed_up: object) -> str:
    loss = signed(cost, UNIT)
    return loss if speed_up is None else f"{speed_up}, {loss}"


@dataclass(frozen=True)
class Answered:
    """The answer for a terminal: labels in a column, text as wide as there is room, a command that can be copied."""

    answer: BenchAnswer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield a table of two columns."""
        lines = answer_lines(self.answer)
        label = max(len(line.label) for line in lines) + 2
        width = max(options.max_width - label, NARROWEST - label)
        table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        last = ""
        for line in lines:
            text = "\n".join(folded(line.text, width)) if line.command else line.text
            style = "bold" if line is lines[0] else ""
            table.add_row(Text("" if line.label == last else line.label, style), Text(text, style))
            last = line.label
        yield table


def folded(command: str, width: int) -> list[str]:
    """Break a command line with backslashes so that a shell reads it as one; an option stays with its value.

    An argument that is wider than `width` has a line of its own.
    """
    lines = [""]
    for group in _groups(shlex.split(command)):
        joined = f"{lines[-1]} {group}" if lines[-1].strip() else f"{lines[-1]}{group}"
        if lines[-1].strip() and len(joined) > width - 2:
            lines.append(f"    {group}")
        else:
            lines[-1] = joined
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def _groups(words: list[str]) -> Iterator[str]:
    """Yield each option with its value, quoted for a shell."""
    group: list[str] = []
    for word in words:
        if group and not (len(group) == 1 and group[0].startswith("-") and not word.startswith("-")):
            yield shlex.join(group)
            group = []
        group.append(word)
    yield shlex.join(group)
