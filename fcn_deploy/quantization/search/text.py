"""Render a search for layers: a table at most 100 columns wide, its verdict, and the line for a recipe."""

from __future__ import annotations

import json

from rich.console import RenderableType
from rich.table import Table

from fcn_deploy.metrics.budget import BOUNDARY, MIOU
from fcn_deploy.quantization.search.dry_run import SearchPlan
from fcn_deploy.quantization.search.judging import share_of_limit
from fcn_deploy.quantization.search.result import LayerFinding, SearchReport
from fcn_deploy.system.formatting import NONE, bare_table, count, number


def render(report: SearchReport) -> list[RenderableType]:
    """Return the verdict, the table of measured layers, and remarks, whose lines must not be wrapped."""
    table: list[RenderableType] = [layer_table(report), ""] if report.measured else []
    return [*verdict(report), "", *table, *remarks(report), ""]


def verdict(report: SearchReport) -> list[str]:
    """Render the mIoU of FP32, INT8 and the choice, and what became of each limit."""
    images = count(len(report.frames.names), "image")
    lines = [
        f"mIoU on {images} of {report.data}: FP32 {number(report.fp32, 3)}, {_drop('all in INT8', report.int8, report)}"
    ]
    if report.kept:
        lines += [f"  {judged.line}" for judged in report.int8_judged if judged.verdict != "passed"]
        kept = f"{count(len(report.kept), 'layer')} of {len(report.layers)} left in float"
        lines.append(f"{_drop(kept, report.found, report)}: {', '.join(report.kept)}")
    else:
        lines.append("no layer has to be left in float")
    return [*lines, *(f"  {judged.line}" for judged in report.judged)]


def layer_table(report: SearchReport) -> Table:
    """Return the most sensitive layer first; those that were not measured last."""
    table = bare_table(gap=1)
    table.add_column("this layer alone in INT8", overflow="fold")
    for column in ("mIoU lost, points", "labels changed, %"):
        table.add_column(column, justify="right", no_wrap=True)
    several = len(report.judged) > 1
    if several:
        table.add_column("of a limit", overflow="fold")
    table.add_column("")
    for layer in sorted(report.layers, key=_sensitivity, reverse=True):
        drop = NONE if layer.drop is None else f"{layer.drop:+.3f}"
        changed = NONE if layer.changed is None else number(100 * layer.changed, 3)
        limit = [_hardest(layer)] if several else []
        table.add_row(layer.name, drop, changed, *limit, "left in float" if layer.kept else "")
    return table


def _hardest(layer: LayerFinding) -> str:
    """Write "pole 1.203 of 1"."""
    judged = layer.hardest
    if judged is None or judged.loss is None:
        return NONE
    figure = judged.limit.class_name or {MIOU: "mIoU", BOUNDARY: "boundary"}[judged.limit.option]
    return f"{figure} {number(judged.loss.value, 3)} of {judged.limit.allowed:g}"


def remarks(report: SearchReport) -> list[str]:
    """Return what was not tried, what the cut tensors saved, and the line for a recipe."""
    lines = []
    missing = [layer.name for layer in report.layers if layer.drop is None]
    if not report.complete:
        named = f"; not measured alone: {', '.join(missing)}" if missing else ""
        lines.append(f"the time was up before all was tried: fewer layers might do{named}")
    if report.measured:
        lines.append(
            f"{count(len(report.measured), 'layer')} measured in {report.own_seconds:.1f} s from tensors kept before "
            f"each: {report.own_cpu_seconds:.1f} s of processor time, where as many passes of the whole graph take "
            f"{report.whole_cpu_seconds:.1f} s"
        )
    before = f", {report.steps_before} of them before" if report.steps_before else ""
    lines.append(f"{count(report.steps, 'step')} in {report.log}{before}; {report.seconds:.1f} s")
    return [*lines, f"for a recipe: keep_float = {json.dumps(report.recipe)}"]  # JSON's text is TOML's


def render_plan(plan: SearchPlan) -> str:
    """Return the steps that a search would take, and what they would cost."""
    each = f"about {plan.set_seconds:.0f} s"
    lines = [
        f"search of {count(len(plan.layers), 'layer')} on {count(plan.images, 'image')} of {plan.data}",
        f"  FP32, the reference            about {plan.read_seconds + plan.pass_seconds:.0f} s, reading included",
        f"  all in INT8                    {each}, and the end if that passes",
        f"  each layer alone               about {plan.own_seconds:.0f} s; from the image on it would be "
        f"{len(plan.layers) * plan.pass_seconds:.0f} s",
        f"  sets of layers left in float   1 to {plan.most_sets} passes of {each}",
        f"{plan.least_seconds:.0f} to {plan.most_seconds:.0f} s after the calibration, judged by one image of "
        f"{plan.size[0]}x{plan.size[1]}",
        f"{plan.cached_bytes / 1e6:.0f} MB of activations on disk at most, {plan.free_bytes / 1e9:.1f} GB free in "
        f"{plan.folder}",
        f"layers: {', '.join(plan.layers)}",
    ]
    kept = ", ".join(f"{name} ({reason})" for name, reason in plan.kept.items())
    return "\n".join([*lines, f"in float anyway: {kept or 'no convolution'}", "nothing was written"])


def _drop(words: str, mean_iou: float, report: SearchReport) -> str:
    return f"{words} {number(mean_iou, 3)} ({mean_iou - report.fp32:+.3f})"


def _sensitivity(layer: LayerFinding) -> tuple[bool, float, float]:
    share = -1.0 if layer.hardest is None else share_of_limit(layer.hardest)
    return layer.drop is not None, share, layer.changed or 0.0
