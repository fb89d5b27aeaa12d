"""Render a diagnosis as tables at most 100 columns wide, and the verdict as one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fcn_deploy.diagnosis.result import Change, Diagnosis, StageComparison, percent
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.system.formatting import NONE, bare_table, count, number, points, share

TOP_LAYERS = 6
STEPS_PER_TABLE = 3


def render(found: Diagnosis) -> RenderableType:
    """Return the steps, each class's IoU, the layers of the first step that diverges, the verdict."""
    parts: list[RenderableType] = [Text(headline(found)), "", step_table(found), ""]
    far = [step for step in found.steps if step.first is not None and _against(step.before) != _against(step.first)]
    if far:
        parts += [total_table(found, far), ""]
    compared = [step for step in found.steps if step.before is not None and step.before.iou is not None]
    for start in range(0, len(compared), STEPS_PER_TABLE):
        parts += [class_table(found, compared[start : start + STEPS_PER_TABLE]), ""]
    divergent_layers = found.first_divergence
    if divergent_layers is not None and divergent_layers.layers:
        parts += [layer_table(divergent_layers), ""]
    return Group(*parts, *(Text(line) for line in [*remarks(found), "", found.verdict]))


def headline(found: Diagnosis) -> str:
    """Return what was compared on what."""
    labelled = "" if found.labelled == found.images else f", {found.labelled} with labels"
    return (
        f"{count(len(found.steps), 'stage')} on {count(found.images, 'image')} of {found.data}{labelled}; "
        f"layers on {found.layer_images} of them"
    )


def step_table(found: Diagnosis) -> Table:
    """Return a row for each stage, against the stage before it."""
    table = _table("stage", "type")
    _add_numbers(table, "mIoU %", "change, points", "agreement %", "at boundaries %", "")
    for step in found.steps:
        miou = NONE if step.mean_iou is None else number(100 * step.mean_iou, 2)
        table.add_row(step.name, step.claim, miou, *_figures(step.before), _state(step))
    return table


def total_table(found: Diagnosis, steps: Sequence[StageComparison]) -> Table:
    """Return a row for each of `steps`, against the first stage."""
    table = _table(f"against {found.steps[0].name}")
    _add_numbers(table, "change, points", "agreement %", "at boundaries %")
    for step in steps:
        table.add_row(step.name, *_figures(step.first))
    return table


def class_table(found: Diagnosis, steps: Sequence[StageComparison]) -> Table:
    """Return points of IoU that each class gained in each of `steps`, with intervals."""
    table = _table("change of IoU, points")
    for step in steps:
        table.add_column(step.name, justify="right", overflow="fold")
    for index, name in enumerate(found.classes):
        changes = [step.before.iou.classes[index] for step in steps if step.before is not None and step.before.iou]
        table.add_row(name, *map(interval, changes))
    return table


def layer_table(step: StageComparison) -> Table:
    """Return the layers with the largest errors, falling, and the first that is out of line."""
    ordered = sorted(step.layers, key=lambda layer: -layer.error)[:TOP_LAYERS]
    ordered += [layer for layer in step.divergent_layers[:1] if layer not in ordered]
    table = _table(f"layers of {step.name}", "operator", "type")
    _add_numbers(table, "error %", "SQNR dB", "tolerance %", "")
    for layer in ordered:
        error = number(100 * layer.error, 3) if math.isfinite(layer.error) else "infinite"
        noise = number(layer.sqnr_db, 1) if math.isfinite(layer.sqnr_db) else NONE
        limit = f"{100 * layer.bound:g}"
        table.add_row(
            layer.name, layer.op_type, layer.precision, error, noise, limit, "out of line" if layer.out_of_line else ""
        )
    return table


def remarks(found: Diagnosis) -> list[str]:
    """List stages that did not run, what became of limits, each stage's worst layer, and what the columns mean."""
    lines = [f"{step.name} {step.status}: {step.reason}" for step in found.steps if step.status != "ok"]
    lines += [f"{step.name}: {each.line}" for step in found.steps for each in step.judged]
    lines += [f"{step.name} differs: {'; '.join(step.differences)}" for step in found.steps if step.differences]
    lines += [line for step in found.steps if (line := _worst(step))]
    lines += ["", _meaning(found)]
    return lines


def interval(change: Interval) -> str:
    """Render "+0.12 (-0.03 to +0.20)" in points; without an interval the value alone."""
    value = points(100 * change.value)
    if change.low is None or change.high is None or change.low == change.high == change.value:
        return value
    return f"{value} ({points(100 * change.low)} to {points(100 * change.high)})"


def _against(change: Change | None) -> str:
    return "" if change is None else change.against


def _figures(change: Change | None) -> list[str]:
    if change is None:
        return [NONE] * 3
    shares = [share(part.agreed, part.pixels) for part in (change.agreement, change.boundary)]
    return [NONE if change.iou is None else interval(change.iou.mean), *shares]


def _state(step: StageComparison) -> Text:
    if step.status != "ok":
        return Text(step.status, "yellow")
    if step.before is None:
        return Text("reference")
    for verdict, style in (("broken", "red"), ("not judged", "yellow"), ("passed", "green")):
        if any(each.verdict == verdict for each in step.judged):
            return Text(verdict, style)
    return Text("diverges", "red") if step.reasons else Text("ok", "green")


def _worst(step: StageComparison) -> str:
    if step.before is None:
        return ""
    if not step.layers:
        return f"{step.name}: {step.no_layers}"
    worst = max(step.layers, key=lambda layer: layer.error)
    return (
        f"{step.name}, fed the tensors of {step.layers_against}: largest error {percent(worst.error)} at {worst.name} "
        f"(tolerance {percent(worst.bound)})"
    )


def _meaning(found: Diagnosis) -> str:
    intervals = "" if found.labelled < 2 else " (95 % of 1000 draws of the images)"
    one = " One labelled image has no interval." if found.labelled == 1 else ""
    return (
        f"Change: points of mean IoU{intervals}; agreement: % of the pixels with the same label; at boundaries: of "
        f"those within {found.radius} px of a change of label. Error: RMS of a layer's result less that of the other "
        f"stage, over the other's RMS, when fed the other stage's tensors.{one}"
    )


def _table(first: str, *columns: str) -> Table:
    table = bare_table(gap=1)
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _add_numbers(table: Table, *columns: str) -> None:
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
