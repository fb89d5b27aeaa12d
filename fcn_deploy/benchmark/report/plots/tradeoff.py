"""Draw speed against accuracy: where each row lies, and which of them no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from fcn_deploy.benchmark.record.accuracy import regions
from fcn_deploy.benchmark.record.summary import fidelity, is_reference, mean_change, speed
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.report.plots.labels import Box, placed
from fcn_deploy.page.scale import Scale, across, centred, positive, up
from fcn_deploy.page.svg import WIDTH, drawing, fitted, line, marker, path, text
from fcn_deploy.system.formatting import milliseconds

LEFT, RIGHT, TOP, BOTTOM = 44, 12, 46, 40
# The plot as a desk shows it; a phone has one of WIDTH, so that its letters are not scaled down.
DESK = 680
# Pixels: a longer name is cut.
NAME = 200
# Points of mIoU, or of labels alike: the axis spans no less, so that a hundredth does not look like a gulf.
LEAST = 1.0
MEAN_IOU = "mIoU"
TITLE = "Speed against accuracy"


@dataclass(frozen=True)
class Point:
    """One row: milliseconds per image and per cent.

    Attributes:
        said: `share` as it is written; 99.9999 is not 100.
        series: its place among the rows.
        low, high: where `share` may lie on other images, as far as that is from its difference to the reference.
    """

    name: str
    series: int
    ms: float
    share: float
    said: str = ""
    low: float | None = None
    high: float | None = None


def tradeoff_plot(record: Record, width: int = WIDTH, *, alone: bool = False) -> Markup | None:
    """Draw mIoU over the median time of an image; label agreement without ground truth; None without either."""
    unit, places = _places(record)
    if not places:
        return None
    height = 200 + 0.32 * width
    across_ms = positive([place.ms for place in places], LEFT + 14, width - RIGHT - 14)
    reached = [end for place in places for end in (place.share, place.low, place.high) if end is not None]
    upwards = centred(reached, height - BOTTOM, TOP, LEAST)
    said = "; ".join(f"{place.name} {milliseconds(place.ms)} ms, {place.said}" for place in places)
    return drawing(
        width, height, TITLE, f"{said}.", text(0, 14, TITLE, "ink strong"),
        up(upwards, LEFT, width - RIGHT), across(across_ms, TOP, height - BOTTOM),
        path([(across_ms(place.ms), upwards(place.share)) for place in unbeaten(places)], "front"),
        *_points(places, across_ms, upwards, (LEFT, TOP - 8, width, height - BOTTOM)),
        text(LEFT, TOP - 12, f"{unit}, %", "faint small"),
        text(width - RIGHT, height - 8, f"ms an image{', logarithmic' if across_ms.log else ''}", "faint small", "end"),
        alone=alone,
    )  # fmt: skip


def unbeaten(places: list[Point]) -> list[Point]:
    """Return the rows that no other row beats in both speed and accuracy, the fastest first."""
    front: list[Point] = []
    for place in sorted(places, key=lambda place: (place.ms, -place.share)):
        if not front or place.share > front[-1].share:
            front.append(place)
    return front


def _places(record: Record) -> tuple[str, list[Point]]:
    for unit, share_of in _SHARES.items():
        places = []
        for index, row in enumerate(record.rows):
            timed, share = speed(record, row.own), share_of(record, row)
            if timed is not None and share is not None and not math.isnan(share):
                ms = timed.median_ms / record.settings.batch
                ends = _ends(record, row) if unit == MEAN_IOU else (None, None)
                said = f"{share:.2f} %" if unit == MEAN_IOU else f"{math.floor(1000 * share) / 1000:g} %"
                places.append(Point(row.name, index, ms, share, said, *ends))
        if places:
            return unit, places
    return "", []


def _ends(record: Record, row: Row) -> tuple[float | None, float | None]:
    """Return the interval of the row's change, added to the reference's mIoU."""
    reference, own = record.reference_accuracy(None), row.own.accuracy
    if reference is None or own is None or is_reference(record, row):
        return None, None
    change, base = mean_change(reference, own), 100 * regions(reference)["all"].mean_iou
    return None if change.low is None else base + change.low, None if change.high is None else base + change.high


def _alike(record: Record, row: Row) -> float | None:
    """Return the per cent of labels that agree with the reference; 100 for the reference itself."""
    agreement = row.own.agreement
    if agreement is None:
        return 100.0 if is_reference(record, row) else None
    return 100 * agreement.overall.agreed / agreement.overall.pixels if agreement.overall.pixels else None


_SHARES: dict[str, Callable[[Record, Row], float | None]] = {
    MEAN_IOU: lambda record, row: fidelity(record, row.own).mean_iou,
    "labels as the reference's": _alike,
}


def _points(places: list[Point], across_ms: Scale, upwards: Scale, bounds: Box) -> list[Markup]:
    """Draw the intervals, the marks, and then the names."""
    spots = [(across_ms(place.ms), upwards(place.share)) for place in places]
    obstacles: list[Box] = [(x - 7, y - 7, x + 7, y + 7) for x, y in spots]
    whiskers, marks = [], []
    for place, (x, y) in zip(places, spots, strict=True):
        if place.low is not None and place.high is not None:
            whiskers.append(line(x, upwards(place.low), x, upwards(place.high), "whisker"))
            obstacles.append((x - 2, upwards(place.high), x + 2, upwards(place.low)))
        hint = f"{place.name}: {milliseconds(place.ms)} ms an image, {place.said}"
        marks.append(marker(x, y, place.series, hint))
    named = [(fitted(place.name, NAME), spot) for place, spot in zip(places, spots, strict=True)]
    return [*whiskers, *marks, *(label.drawn() for label in placed(named, obstacles, bounds))]
