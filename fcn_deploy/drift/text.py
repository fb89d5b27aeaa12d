"""Render what `watch` found: the answer, a line for each figure that is out, and with details a table of all."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table

from fcn_deploy.drift.result import AppearanceDrift, ClassDrift, ClassShares, DriftReport, LabelDrift, TensorDrift
from fcn_deploy.system.formatting import NONE, bare_table, count, some

NAMES_SHOWN = 3
# What a figure of the appearance below its limit means, and one above.
CHANGES = {
    "brightness": ("darker", "brighter"),
    "red less blue": ("bluer", "redder"),
    "contrast": ("less contrast", "more contrast"),
    "detail": ("blurred or smooth", "noisy or sharper"),
    "height": ("smaller", "larger"),
    "width": ("smaller", "larger"),
}


def render(found: DriftReport, *, details: bool = False) -> list[RenderableType]:
    """Return the answer, the figures that are out, what was compared, and with `details` every figure."""
    tables: list[RenderableType] = []
    if details:
        tables = [part for table in _tables(found) for part in ("", table)]
    return [answer(found), *_lines_out(found), *_remarks(found), *tables]


def answer(found: DriftReport) -> str:
    """Return the verdict in one line, with the reasons."""
    if found.unjudged:
        return f"the photos were not judged: {found.unjudged}"
    if found.fits:
        return "the photos fit the calibration"
    return f"the photos do not fit the calibration: {'; '.join(_reasons(found))}"


def _reasons(found: DriftReport) -> list[str]:
    """Return in a few words each what is out, the widest first: what the images look like, classes, labels, ranges."""
    reasons = list(dict.fromkeys(_change(each) for each in found.appearance if each.out))
    if found.classes is not None and found.classes.out:
        moved = [f"{'more' if each.today > each.calibration else 'less'} {each.name}" for each in _moved(found.classes)]
        reasons.append(some(moved, NAMES_SHOWN))
    labels = [each for each in found.labels if each.out]
    if labels:
        reasons.append(f"FP32 gives other labels ({', '.join(each.region for each in labels)})")
    tensors = sum(each.out for each in found.tensors)
    if tensors:
        reasons.append(f"{tensors} of {count(len(found.tensors), 'tensor')} beyond the range")
    return reasons


def _lines_out(found: DriftReport) -> list[str]:
    lines = [_appearance_line(each) for each in found.appearance if each.out]
    if found.classes is not None and found.classes.out:
        distance = f"{found.classes.distance:.1%} of the pixels are of other classes than in the calibration"
        lines.append(f"{distance} (limit {found.classes.limit:.1%})")
        lines += [_class_line(each) for each in _moved(found.classes)]
    lines += [_label_line(each) for each in found.labels if each.out]
    if beyond := [each for each in found.tensors if each.out]:
        lines += ["values beyond a tensor's range, with the calibration's share:", *map(_tensor_line, beyond)]
    return [f"  {line}" for line in lines]


def _moved(found: ClassShares) -> list[ClassDrift]:
    """Return the classes that moved, the farthest first; if the distance alone is out, the one that moved most."""
    ordered = sorted(found.classes, key=lambda each: -abs(each.today - each.calibration))
    return [each for each in ordered if each.moved] or ordered[:1]


def _change(each: AppearanceDrift) -> str:
    return CHANGES[each.name][each.today > each.high]


def _appearance_line(each: AppearanceDrift) -> str:
    allowed = f"in order {each.low:.4g} to {each.high:.4g}"
    return f"{each.name} {each.today:.4g}, calibration {each.calibration:.4g} ({allowed})"


def _class_line(each: ClassDrift) -> str:
    low, high = max(each.calibration - each.limit, 0), each.calibration + each.limit
    known = f"calibration {each.calibration:.1%} (in order {low:.1%} to {high:.1%})"
    return f"{each.name}: {each.today:.1%} of the pixels, {known}"


def _label_line(each: LabelDrift) -> str:
    known = "" if each.calibration is None else f", calibration {each.calibration:.2%}"
    limit = "" if each.limit is None else f" (limit {each.limit:.2%})"
    return f"labels unlike FP32's, {each.region}: {each.today.value:.2%}{known}{limit}"


def _tensor_line(each: TensorDrift) -> str:
    share = f"{each.today:.3%} beyond {each.low:.3g} to {each.high:.3g}"
    return f"  {each.name}: {share}, {each.calibration:.3%} (limit {each.limit:.3%})"


def _remarks(found: DriftReport) -> list[str]:
    of = "" if found.available in (None, found.images) else f" of {found.available:,}"
    compared = f"{found.images:,}{of} {'image' if found.images == 1 else 'images'} compared with {found.baseline}"
    lines = [compared, *found.notes]
    if found.failures:
        names = some([failure.name for failure in found.failures], NAMES_SHOWN)
        lines.append(f"{count(len(found.failures), 'image')} could not be used: {names}; {found.failures[0].reason}")
    return lines


def _tables(found: DriftReport) -> list[Table]:
    known = [] if found.classes is None else [_appearance_table(found), _class_table(found.classes)]
    return [*known, _tensor_table(found), *([_label_table(found.labels)] if found.labels else [])]


def _appearance_table(found: DriftReport) -> Table:
    table = _table("appearance", "today", "calibration", "in order", "")
    for each in found.appearance:
        allowed = f"{each.low:.4g} to {each.high:.4g}"
        table.add_row(each.name, f"{each.today:.4g}", f"{each.calibration:.4g}", allowed, _mark(each.out))
    return table


def _class_table(found: ClassShares) -> Table:
    table = _table("class, % of the pixels", "today", "calibration", "change in order", "")
    for each in found.classes:
        if each.today or each.calibration:
            figures = (f"{100 * share:.2f}" for share in (each.today, each.calibration, each.limit))
            table.add_row(each.name, *figures, "moved" if each.moved else "")
    distance = (f"{100 * found.distance:.2f}", NONE, f"{100 * found.limit:.2f}")
    table.add_row("(distance)", *distance, _mark(found.out))
    return table


def _tensor_table(found: DriftReport) -> Table:
    table = _table("beyond the range, %", "today", "calibration", "limit", "farthest, % of it", "")
    for each in found.tensors:
        figures = (f"{100 * share:.3f}" for share in (each.today, each.calibration, each.limit))
        table.add_row(each.name, *figures, f"{100 * each.excess:.0f}", _mark(each.out))
    return table


def _label_table(labels: Sequence[LabelDrift]) -> Table:
    table = _table("labels unlike FP32's, %", "today", "interval", "calibration", "limit", "")
    for each in labels:
        low, high = each.today.low, each.today.high
        ends = NONE if low is None or high is None else f"{100 * low:.2f} to {100 * high:.2f}"
        known, limit = (NONE if share is None else f"{100 * share:.2f}" for share in (each.calibration, each.limit))
        table.add_row(each.region, f"{100 * each.today.value:.2f}", ends, known, limit, _mark(each.out))
    return table


def _mark(out: bool) -> str:
    return "out" if out else ""


def _table(first: str, *columns: str) -> Table:
    table = bare_table(gap=1)
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    return table
