"""Build the tables of fidelity in full: means by region, each class, agreement by margin, the worst frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePath

from fcn_deploy.benchmark.record.accuracy import boundary_iou_of, class_scores, regions
from fcn_deploy.benchmark.record.summary import class_changes, is_reference, mean_change, most_changed
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.report.sheets import Sheet
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.system.formatting import NONE, number, points, share

METRICS = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou", "mean_dice", "mean_precision")
HEADS = (
    "runner", "", "pixel acc.", "mean acc.", "mean IoU", "f.w. IoU", "mean Dice", "mean prec.", "Boundary IoU",
    "Δ mean IoU",
)  # fmt: skip
SCORES = {"dice": "Dice", "precision": "precision", "recall": "recall", "boundary_iou": "Boundary IoU"}
NAME = 60


def detail_sheets(record: Record) -> list[Sheet]:
    """Return the tables that this record has something for, in the order of reading."""
    parts = (_region_sheets, _class_sheets, _score_sheets, _margin_sheets, _frame_sheets)
    return [sheet for part in parts for sheet in part(record) if sheet.rows]


def _region_sheets(record: Record) -> Iterator[Sheet]:
    """Yield the means in per cent: everywhere, near label changes, away from them; Boundary IoU has its own region."""
    rows = []
    reference = record.reference_accuracy(None)
    for row, own in [(row, row.own.accuracy) for row in record.rows if row.own.accuracy is not None]:
        runner, change = row.name, NONE
        if reference is not None:
            change = "ref" if is_reference(record, row) else interval(mean_change(reference, own))
        contours = boundary_iou_of(own)
        alone = NONE if contours is None else number(100 * contours.mean, 2)
        for name, found in regions(own).items():
            rows.append((runner, name, *(number(100 * getattr(found, metric), 2) for metric in METRICS), alone, change))
            runner = alone = change = ""  # only next to the row's first region
    yield Sheet("Accuracies by region", HEADS, tuple(rows), words=(0, 1))


def _class_sheets(record: Record) -> Iterator[Sheet]:
    """Yield the points of IoU that each class gained against the reference."""
    found = [(row.name, changes) for row in record.rows if (changes := class_changes(record, row))]
    reference = "" if record.reference is None else record.reference.name
    if found:
        heads = ("class", reference, *(runner for runner, _ in found))
        rows = tuple(
            (change.name, number(change.before, 2), *(interval(changes[index].change) for _, changes in found))
            for index, change in enumerate(found[0][1])
        )
        yield Sheet(f"IoU of {reference}, and points gained", heads, rows)


def _score_sheets(record: Record) -> Iterator[Sheet]:
    """Yield Dice, precision, recall and Boundary IoU of each class, of the reference alone."""
    if record.reference is not None and (found := record.reference.accuracy) is not None:
        rows = tuple(
            (str(each["class"]), *(number(float(each.get(key, math.nan)), 2) for key in SCORES))
            for each in class_scores(record.data.classes, found) or ()
        )
        yield Sheet(f"Classes of {record.reference.name}, %", ("class", *SCORES.values()), rows)


def _margin_sheets(record: Record) -> Iterator[Sheet]:
    """Yield the per cent of pixels that keep their label, by how sure the reference was of it."""
    agreements = [(row.name, row.own.agreement) for row in record.rows]
    found = [(runner, agreement) for runner, agreement in agreements if agreement is not None and agreement.by_margin]
    if found:
        bins = found[0][1].by_margin
        total = sum(one.pixels for one in bins)
        rows = [
            (
                f"{one.low:.3g} and more" if one.high is None else f"{one.low:.3g} to {one.high:.3g}",
                share(one.pixels, total),
                *(share(agreed.by_margin[index].agreed, agreed.by_margin[index].pixels) for _, agreed in found),
            )
            for index, one in enumerate(bins)
        ]
        largest = ("largest margin of a change", "", *(number(agreed.largest_margin, 3) for _, agreed in found))
        heads = ("logit margin", "% of pixels", *(runner for runner, _ in found))
        yield Sheet("Same label, by the reference's logit margin", heads, (*rows, largest))


def _frame_sheets(record: Record) -> Iterator[Sheet]:
    """Yield the frames with the least agreement of each row."""
    rows = tuple(
        (row.name if index == 0 else "", _shortened(frame.name), share(frame.agreed, frame.pixels))
        for row in record.rows
        for index, frame in enumerate(most_changed(row))
    )
    yield Sheet("Frames that changed most", ("runner", "frame", "same %"), rows, words=(0, 1))


def interval(change: Interval) -> str:
    """ "+0.12 (-0.03 to +0.20)" in points; without an interval, or with one of no width, the value alone."""
    value = points(change.value)
    if change.low is None or change.high is None or change.low == change.high:
        return value
    return f"{value} ({points(change.low)} to {points(change.high)})"


def _shortened(name: str) -> str:
    """Return the end of a path: the part in which frames differ."""
    parts = PurePath(name).parts
    short = "/".join(parts[-2:]) if len(name) > NAME else name
    return short if len(short) <= NAME else f"...{short[3 - NAME :]}"
