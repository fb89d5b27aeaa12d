"""Draw speed against accuracy: where each row lies, and which of them no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from fcn_deploy.benchmark.record.summary import fidelity, is_reference, mean_change, regions, speed
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.page.scale import Scale, across, centred, positive, up
from fcn_deploy.page.svg import WIDTH, drawing, line, marker, path, shorten, text
from fcn_deploy.system.formatting import milliseconds

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 280, 44, 12, 24, 40
LETTER, LINE = 6.6, 14  # pixels, about, of a letter of a label
# Points of mIoU, or of labels alike: the axis spans no less, so that a hundredth does not look like a gulf.
LEAST = 1.0
MEAN_IOU = "mIoU"
Box = tuple[float, float, float, float]


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
    across_ms = positive([place.ms for place in places], LEFT + 8, width - RIGHT - 8)
    reached = [end for place in places for end in (place.share, place.low, place.high) if end is not None]
    upwards = centred(reached, HEIGHT - BOTTOM, TOP, LEAST)
    said = "; ".join(f"{place.name} {milliseconds(place.ms)} ms, {place.said}" for place in places)
    return drawing(
        width, HEIGHT, "Speed against accuracy", f"{said}.",
        up(upwards, LEFT, width - RIGHT), across(across_ms, TOP, HEIGHT - BOTTOM),
        path([(across_ms(place.ms), upwards(place.share)) for place in unbeaten(places)], "front"),
        *_points(places, across_ms, upwards, width),
        text(LEFT, TOP - 10, f"{unit}, %", "faint small"),
        text(width - RIGHT, HEIGHT - 8, f"ms an image{', logarithmic' if across_ms.log else ''}", "faint small", "end"),
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


def _points(places: list[Point], across_ms: Scale, upwards: Scale, width: float) -> list[Markup]:
    """Draw the marks and then their names, each where it covers neither a mark nor another name."""
    spots = [(across_ms(place.ms), upwards(place.share)) for place in places]
    taken: list[Box] = [(x - 7, y - 7, x + 7, y + 7) for x, y in spots]
    drawn, names = [], []
    for place, (x, y) in zip(places, spots, strict=True):
        hint = f"{place.name}: {milliseconds(place.ms)} ms an image, {place.said}"
        if place.low is not None and place.high is not None:
            drawn.append(line(x, upwards(place.low), x, upwards(place.high), "whisker"))
        drawn.append(marker(x, y, place.series, hint))
        label = shorten(place.name, 26)
        box = _free(x, y, LETTER * len(label), taken, width)
        taken.append(box)
        names.append(text(box[0], box[3] - 3, label, "ink small"))
    return drawn + names


def _free(x: float, y: float, wide: float, taken: list[Box], width: float) -> Box:
    """Return the first free place for a name within the picture; the last one tried if there is none."""
    box: Box = (x, y, x, y)
    for step in range(8):
        for left in (x + 9, x - 9 - wide, min(max(LEFT, x - wide / 2), width - wide)):
            for shift in (0.0, step * LINE, -step * LINE):
                level = y + shift + (0 if left != x - wide / 2 or step else LINE)
                box = (left, level - LINE / 2, left + wide, level + LINE / 2)
                inside = box[0] >= LEFT and box[2] <= width and box[1] >= TOP and box[3] <= HEIGHT - BOTTOM
                if inside and not any(_overlap(box, other) for other in taken):
                    return box
    return box


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
