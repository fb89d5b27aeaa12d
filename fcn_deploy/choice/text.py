"""Render a choice: what to ship first, then the table of what was tried, then how to make the file again."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table

from fcn_deploy.choice.dry_run import ChoicePlan
from fcn_deploy.choice.result import Choice, Winner
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.system.formatting import NONE, bare_table, count, points, short_ms
from fcn_deploy.vocabulary import shape_text


def render(found: Choice) -> list[RenderableType]:
    """Return the answer, the table, and the commands, whose lines must not be wrapped."""
    tail = [f"{count(found.steps, 'step')} in {found.work}, {found.steps_before} of them before; {found.seconds:.1f} s"]
    if not found.complete:
        tail.insert(0, "the time was up before all was tried: a faster one might pass")
    return [*_answer(found), "", tried_table(found), "", *_commands(found), *tail]


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


def _answer(found: Choice) -> list[str]:
    winner = found.winner
    if winner is None:
        lines = [f"none of {count(len(found.tried), 'candidate')} passes the budgets; nothing was written"]
        return [*lines, f"nearest: {found.nearest}"] if found.nearest else lines
    size = "" if winner.size is None else f" on images resized to {shape_text(winner.size)}"
    runner = next(tried.runner for tried in found.tried if tried.name == winner.name)
    return [f"ship {winner.path} in {runner}{size}: {_speed(found, winner)}, {_cost(winner)}"]


def _speed(found: Choice, winner: Winner) -> str:
    if winner.times is None:
        return f"{short_ms(winner.ms)} ms"
    ratio = winner.times
    ends = "" if ratio.low is None or ratio.high is None else f" ({ratio.low:.2f} to {ratio.high:.2f})"
    return f"{ratio.value:.2f} times as fast as {found.reference}{ends}"


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
    table.add_column("tried", overflow="fold")
    for head in ("ms", "rounds", "points of mIoU", "frames"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for each in sorted(found.tried, key=lambda each: (each.reason != "", each.ms is None, each.ms or 0.0)):
        ms = NONE if each.ms is None else short_ms(each.ms)
        table.add_row(
            each.name, ms, str(each.rounds), _interval(each.change), str(each.frames), each.reason or "shipped"
        )
    return table


def _commands(found: Choice) -> list[str]:
    if found.winner is None:
        return []
    return ["made again by:", *(f"  {line}" for line in found.winner.commands)] if found.winner.commands else []
