"""Place the names of points in a plot: near their point, over no other name or mark, with a line to it if apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fcn_deploy.page.svg import line, text, width_of

Spot = tuple[float, float]
# left, top, right, bottom, in pixels
Box = tuple[float, float, float, float]

LINE, GAP, STEP, RINGS = 14.0, 9.0, 9.0, 20
# To the right first, then to the left, above, below, and in between.
DIRECTIONS = (0, 180, 270, 90, 315, 45, 225, 135, 340, 20, 200, 160, 295, 65, 245, 115)


@dataclass(frozen=True)
class Label:
    """A name at its place; `pointer`: a line from the name to the point, None where they touch."""

    name: str
    box: Box
    pointer: tuple[Spot, Spot] | None = None

    def drawn(self) -> Markup:
        """Draw the name, with a rim of paper where it crosses a line, and its pointer."""
        words = text(self.box[0], self.box[3] - 3, self.name, "ink small rim")
        return words if self.pointer is None else line(*self.pointer[0], *self.pointer[1], "pointer") + words


def placed(named: Sequence[tuple[str, Spot]], obstacles: Sequence[Box], bounds: Box) -> list[Label]:
    """Return a label for each point, in their order.

    Args:
        named: name and place of each point.
        obstacles: boxes that no name may cover, those of the points' own marks among them.
        bounds: of the whole plot.
    """
    labels: list[Label] = []
    for name, spot in named:
        tried = [Label(name, box, _pointer(spot, box, ring)) for ring, box in _candidates(name, spot, bounds)]
        taken = [*obstacles, *(label.box for label in labels)]
        free = [label for label in tried if not any(overlap(label.box, other) for other in taken)]
        clear = (label for label in free if not any(_tangled(label, other) for other in labels))
        labels.append(next(clear, free[0] if free else tried[-1]))
    return labels


def _tangled(label: Label, other: Label) -> bool:
    """Whether the line of one label goes through the other's name."""
    pairs = ((label.pointer, other.box), (other.pointer, label.box))
    return any(pointer is not None and _crosses(pointer, box) for pointer, box in pairs)


def _candidates(name: str, spot: Spot, bounds: Box) -> Iterator[tuple[int, Box]]:
    """Yield ring and box, the nearest first, within the plot."""
    wide, (x, y) = width_of(name), spot
    found = False
    for ring in range(RINGS):
        reach = GAP + STEP * ring
        for degrees in DIRECTIONS:
            across, down = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            left, top = x + reach * across - wide * (1 - across) / 2, y + reach * down - LINE * (1 - down) / 2
            box = left, top, left + wide, top + LINE
            if box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3]:
                found = True
                yield ring, box
    if not found:  # wider than the plot: from its left edge on
        yield 0, (bounds[0], y - LINE, bounds[0] + wide, y)


def _pointer(spot: Spot, box: Box, ring: int) -> tuple[Spot, Spot] | None:
    if ring == 0:
        return None
    nearest = min(max(spot[0], box[0] - 1), box[2] + 1), min(max(spot[1], box[1] + 2), box[3] - 1)
    return spot, nearest


def overlap(a: Box, b: Box) -> bool:
    """Whether two boxes share more than an edge."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _crosses(pointer: tuple[Spot, Spot], box: Box) -> bool:
    (x1, y1), (x2, y2) = pointer
    steps = (step / 16 for step in range(17))
    return any(box[0] < x1 + (x2 - x1) * part < box[2] and box[1] < y1 + (y2 - y1) * part < box[3] for part in steps)
