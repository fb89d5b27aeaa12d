"""Render a choice: what to ship first, then the table of what was tried, then how to make the file again."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table

from fcn_deploy.benchmark.baseline.significance import Ratio
from fcn_deploy.benchmark.report.answer import folded
from fcn_deploy.choice.dry_run import ChoicePlan
from fcn_deploy.choice.outputs.recipe_file import ChosenFile
from fcn_deploy.choice.outputs.tried_file import ordered
from fcn_deploy.choice.result import Choice, Winner
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.system.formatting import NONE, bare_table, count, points, short_ms
from fcn_deploy.vocabulary import shape_text

WIDTH = 80
NAME_WIDTH = 22
ROUGH = 2.0


def render(found: Choice) -> list[RenderableType]:
    """Return the answer, the table, and the commands, whose lines must not be wrapped."""
    tail = _wrapped(
        f"{found.work} keeps {count(found.steps, 'step')} ({found.steps_before} from before) for a choice with other "
        f"limits or sizes; remove it at any time; {found.seconds:.1f} s"
    )
    if not found.complete:
        tail.insert(0, "the time was up before all was tried: a faster one might pass")
    return [*_answer(found), "", tried_table(found), *_reasons(found), "", *_commands(found), *tail]


def render_plan(plan: ChoicePlan) -> str:
    """Return what would be tried, and the time that it would take."""
    lines = [
        f"{count(len(plan.candidates), 'candidate')} on {count(plan.frames, 'frame')} of {plan.data}",
        *(f"  {name}" for name in plan.candidates),
        f"files to make: {', '.join(plan.files) or 'none'}",
        f"{plan.least_seconds:.0f} to {plan.most_seconds:.0f} s after that, judged by one image of "
        f"{shape_text(plan.size)} in PyTorch ({1000 * plan.image_seconds:.0f} ms)",
        "nothing was written",
    ]
    return "\n".join(lines)


def render_again(made: ChosenFile, output: Path) -> str:
    """Return what was made from a recipe, and where it runs."""
    size = f", network size {made.network_size}" if made.network_size else ""
    same = f"the file that was chosen, sha256 {made.sha256[:16]}" if made.sha256 else "sha256 not compared"
    return f"{output}, for {made.runner}{size}: {same}"


def _answer(found: Choice) -> list[str]:
    winner = found.winner
    if winner is None:
        lines = [f"none of {count(len(found.tried), 'candidate')} is within the limits; nothing was written"]
        return [*lines, *_wrapped(f"nearest: {found.nearest}")] if found.nearest else lines
    size = "" if winner.size is None else f", which computes at {shape_text(winner.size)}"
    runner = next(tried.runner for tried in found.tried if tried.name == winner.name)
    rough = f"speed not known within a factor of {ROUGH:g}, " if _rough(winner.times) else ""
    return [f"ship {winner.path} in {runner}{size}: {_speed(found, winner)},", *_wrapped(f"  {rough}{_cost(winner)}")]


def _speed(found: Choice, winner: Winner) -> str:
    if winner.times is None:
        return f"{short_ms(winner.ms)} ms"
    ratio = winner.times
    if ratio.low is None or ratio.high is None or _rough(ratio):
        return f"about {ratio.value:.0f} times as fast as {found.reference}"
    return f"{ratio.value:.1f} times as fast as {found.reference} ({ratio.low:.1f} to {ratio.high:.1f})"


def _rough(ratio: Ratio | None) -> bool:
    """Return whether the ends of the interval are further apart than `ROUGH` times, as on a busy machine."""
    return ratio is not None and ratio.low is not None and ratio.high is not None and ratio.high > ROUGH * ratio.low


def _cost(winner: Winner) -> str:
    worst = winner.worst_class
    named = "no class lost" if worst is None else f"worst class {worst[0]} {worst[1]:+.2f}"
    change = winner.change
    ends = "" if change.low is None or change.high is None else f" ({change.low:+.2f} to {change.high:+.2f})"
    return f"{points(change.value)} points of mIoU{ends}, {named}"


def _interval(change: Interval | None) -> str:
    if change is None:
        return NONE
    ends = "" if change.low is None or change.high is None else f" ({change.low:+.2f} to {change.high:+.2f})"
    return f"{points(change.value)}{ends}"


def tried_table(found: Choice) -> Table:
    """Return a line for each candidate: the winner first, then by time; those that were not timed last."""
    table = bare_table(gap=1)
    table.add_column("tried", overflow="fold", max_width=NAME_WIDTH)
    for head in ("ms", "points of mIoU", "frames"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    for each in ordered(found.tried):
        ms = NONE if each.ms is None else short_ms(each.ms)
        table.add_row(each.name, ms, _interval(each.change), str(each.frames), each.outcome)
    return table


def _reasons(found: Choice) -> list[str]:
    """Return a paragraph for each candidate that was dropped by more than its time, as it is in the table's file."""
    said = [each for each in ordered(found.tried) if each.outcome in ("loses too much", "failed", "too slow")]
    lines = [line for each in said for line in _wrapped(f"{each.name}: {each.reason}")]
    return ["", *lines] if lines else []


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _commands(found: Choice) -> list[str]:
    winner = found.winner
    if winner is None:
        return []
    again = shlex.join(["fcn-deploy", "choose", str(winner.recipe), "-o", str(winner.path)])
    lines = [part for command in winner.commands for part in folded(command, WIDTH - 2)]
    return [
        *("made again by:", *(f"  {line}" for line in lines or ["# a copy of the model as it is"])),
        *("or by its recipe:", *(f"  {line}" for line in folded(again, WIDTH - 2))),
        f"the table with all reasons: {winner.table}",
    ]
