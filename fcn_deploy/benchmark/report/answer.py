"""Write the answer of a benchmark in a few lines: what to ship, its speed, its cost, its file, what is not known."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from fcn_deploy.benchmark.verdicts.answer import BenchAnswer
from fcn_deploy.benchmark.verdicts.network_sizes import SizeAnswer
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.budget import Verdict
from fcn_deploy.runners.registry import RUNNERS
from fcn_deploy.system.formatting import points, share, short_ms

UNIT = " points of mIoU"
SIZE_VERDICTS: dict[Verdict, str] = {
    "passed": "loses at most {:g}",
    "broken": "loses more than {:g}",
    "not judged": "whether it loses more than {:g} is not known",
}


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
    if found.agreed is not None and found.agreed.pixels and not found.judged:
        equal = share(found.agreed.agreed, found.agreed.pixels)
        lines.append(AnswerLine("labels", f"{equal} % of the pixels have the label of {found.reference}"))
    if found.file is not None and found.file.command and not found.file.kept:
        lines.append(AnswerLine("make it", found.file.command, command=True))
    lines += [AnswerLine("size", size_text(size, found.limit)) for size in found.sizes]
    told = {size.row for size in found.sizes}
    harmed = [row for row in found.harmed if row.reason or row.row not in told]
    harms = [(row.proven, f"{row.row}: {row.reason or _harm(row.cost, row.speed_up)}") for row in harmed]
    for label, proven in (("broken", True), ("not judged", False)):
        lines += [AnswerLine(label, text) for shown, text in harms if shown == proven]
    return [*lines, *(AnswerLine("not known", doubt.text) for doubt in found.unknown)]


def size_text(found: SizeAnswer, limit: float) -> str:
    """Write "0.5 in openvino: 6.1 ms, 2.47 times as fast as full size, +0.27 points of mIoU: loses at most 0.3"."""
    parts = [] if found.median_ms is None else [f"{short_ms(found.median_ms)} ms"]
    parts += [] if found.speed_up is None else [str(found.speed_up)]
    parts += [] if found.change is None else [signed(found.change, UNIT)]
    said = "" if found.verdict is None else f": {SIZE_VERDICTS[found.verdict].format(limit)}"
    more = "; it enlarges the images, which shows the network nothing new" if found.enlarges else ""
    return f"{found.size} in {found.runner}: {', '.join(parts) or 'not timed'}{said}{more}"


def _ship(found: BenchAnswer) -> tuple[str, str]:
    if found.row is None:
        limits = f"breaks {' or '.join(found.limits)}" if found.limits else f"loses more than {found.limit:g}{UNIT}"
        why = f"each row that was timed {limits}" if found.harmed else ""
        return "ship", f"none: {why or 'no row was timed with its accuracy'}"
    named = _named(found, found.row)
    if found.is_reference and any(row.proven for row in found.harmed):
        named += (
            ": no faster row is within the limits"
            if found.limits
            else f": each faster row loses more than {found.limit:g}{UNIT}"
        )
    return ("ship", named) if found.judged else ("fastest", f"{named}; whether it is unharmed is not known")


def _named(found: BenchAnswer, row: str) -> str:
    """Write "fcn8s.int8.cpu.onnx, run by OpenVINO (openvino:int8)"; the row alone where the file is not known."""
    if found.file is None:
        return row
    runner = found.runner.partition(":")[0]
    title = RUNNERS[runner].title if runner in RUNNERS else runner
    return f"{found.file.kept or found.file.name}, run by {title} ({row})"


def _cost(found: BenchAnswer) -> str:
    if found.is_reference:
        return "none: labels and mIoU are compared with its own"
    parts = []
    if found.cost is not None:
        parts.append(signed(found.cost, UNIT))
    if found.worst_class is not None:
        parts.append(f"worst class: {found.worst_class.name} {signed(found.worst_class.change)}")
    return "; ".join(parts)


def signed(change: Interval, unit: str = "") -> str:
    """Write "-0.09 points of mIoU (-0.14 to -0.03)"; "0" for no change at all."""
    value = f"{points(change.value)}{unit}"
    if change.low is None or change.high is None or change.low == change.high:
        return value
    return f"{value} ({change.low:+.2f} to {change.high:+.2f})"


def _harm(cost: Interval, speed_up: object) -> str:
    loss = signed(cost, UNIT)
    return loss if speed_up is None else f"{speed_up}, {loss}"


@dataclass(frozen=True)
class Answered:
    """The answer for a terminal: labels in a column, text as wide as there is room, a command that can be copied."""

    answer: BenchAnswer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield lines without blanks at their ends: after a backslash, a shell would not join it with the next one."""
        lines = answer_lines(self.answer)
        label, last = max(len(line.label) for line in lines) + 2, ""
        width = max(options.max_width - label, 1)
        for line in lines:
            shown, style = "" if line.label == last else line.label, "bold" if line is lines[0] else ""
            last = line.label
            if line.command:
                parts = folded(line.text, width)
                if max(map(len, parts)) > width:
                    yield Text(f"{shown}:")
                    yield Text("\n".join(cut(line.text, options.max_width)))
                    continue
            else:
                parts = [part.plain.rstrip() for part in Text(line.text).wrap(console, width)]
            for place, part in enumerate(parts):
                yield Text(f"{'' if place else shown:{label}}{part}", style)


def folded(command: str, width: int) -> list[str]:
    """Break a command line with backslashes so that a shell reads it as one; an option stays with its value.

    An argument that is wider than `width` has a line of its own.
    """
    lines = [""]
    for group in _groups(command):
        joined = f"{lines[-1]} {group}" if lines[-1] else group
        if lines[-1] and (lines[-1].endswith("&&") or len(joined) > width - 2):
            lines.append(group if lines[-1].endswith("&&") else f"    {group}")
        else:
            lines[-1] = joined
    return [*(line if line.endswith("&&") else f"{line} \\" for line in lines[:-1]), lines[-1]]


def cut(command: str, width: int) -> list[str]:
    """Break a command line anywhere: a backslash at a line's end joins the parts of a word too, if nothing precedes."""
    lines = [""]
    for place, group in enumerate(_groups(command)):
        for part in _pieces((" " if place else "") + group, width - 1):
            if len(lines[-1]) + len(part) > width - 1:
                lines.append("")
            lines[-1] += part
    return [*(f"{line}\\" for line in lines[:-1]), lines[-1]]


def _pieces(text: str, width: int) -> list[str]:
    """Cut what is wider than `width`; a quoted part is left whole, as a backslash within quotes is one."""
    if len(text) <= width or "'" in text:
        return [text]
    return [text[start : start + width] for start in range(0, len(text), width)]


def _groups(command: str) -> Iterator[str]:
    """Yield each option with its value, quoted for a shell, and "&&" with what precedes it."""
    group: list[str] = []
    for word in shlex.split(command):
        valued = len(group) == 1 and group[0].startswith("-") and not word.startswith("-")
        if word == "&&":
            yield f"{shlex.join(group)} &&"
            group = []
            continue
        if group and not valued:
            yield shlex.join(group)
            group = []
        group.append(word)
    yield shlex.join(group)
