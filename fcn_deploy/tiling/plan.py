"""Plan which windows of an image are run, and which labels of each are used.

All windows of an image have one size, so that one optimization profile, one CUDA graph and one set of buffers serve
them. They start at multiples of the total stride, and the last one ends with the image: the window's side leaves the
same remainder as the image's when divided by the stride.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from fcn_deploy.errors import ShapeError
from fcn_deploy.tiling.receptive_field.compute import Halo, ReceptiveField
from fcn_deploy.vocabulary import Shape, shape_text

# "smallest": as small as their number allows; "largest": as large as the tile allows; "fixed": exactly the tile.
Sizes = Literal["smallest", "largest", "fixed"]


@dataclass(frozen=True)
class Axis:
    """The windows along one side of an image.

    Attributes:
        side: of the image; `extended`: that of the image with its last row or column repeated, which is what is cut.
        window: side of every window.
        starts: first pixel of each.
        seams: where the labels of one end and those of the next start: 0, ..., extended, one more than the starts.
    """

    side: int
    extended: int
    window: int
    starts: tuple[int, ...]
    seams: tuple[int, ...]

    @property
    def label_ranges(self) -> Iterator[tuple[int, int]]:
        """First and last + 1 of the labels kept of each window, in the image."""
        return ((first, min(last, self.side)) for first, last in pairwise(self.seams))


@dataclass(frozen=True)
class Plan:
    """The windows of one image.

    Attributes:
        rows, columns: their places.
        exact: whether the labels are those of the whole image, as far as rounding does not exchange the best two
            classes of a pixel. `remark` says why not; "" if they are.
    """

    rows: Axis
    columns: Axis
    exact: bool
    remark: str = ""

    @property
    def windows(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of every window."""
        return self.rows.window, self.columns.window

    @property
    def overhead(self) -> float:
        """Pixels run divided by pixels of the image; 1 means that nothing is computed twice."""
        return self.windows * self.rows.window * self.columns.window / (self.rows.side * self.columns.side)


def plan_tiles(
    field: ReceptiveField, height: int, width: int, tile: int, *, halo: int | None = None, sizes: Sizes = "smallest"
) -> Plan:
    """Cut an image of `height` x `width` into windows of at most `tile` pixels a side.

    A side no larger than `tile` is not cut. One that is cut and that the field's `divisor` does not divide, or that
    windows of a fixed size do not fill, is extended by its last row or column; labels are then the extended image's.

    Args:
        halo: context around the labels that are kept, in pixels, in place of what exactness takes.

    Raises:
        ShapeError: no window of `tile` holds one stride of labels and its halo; the smallest that does is named.
        GraphError: windows of a fixed size whose side the field's `divisor` does not divide.
    """
    if min(height, width, tile) < 1 or (halo is not None and halo < 0):
        raise ShapeError(f"tiles of {tile} with halo {halo} for {height}x{width}: expected sides of at least 1 pixel")
    extended = [_extended(side, tile, field, sizes) for side in (height, width)]
    needed = [field.halos(own, own)[axis] if own > tile else Halo(0, 0) for axis, own in enumerate(extended)]
    rows, columns = (
        _axis(side, own, tile, _smaller(reach, halo), field, sizes)
        for side, own, reach in zip((height, width), extended, needed, strict=True)
    )
    remark = _remark(field, (rows, columns), max(max(own.before, own.after) for own in needed), halo)
    return Plan(rows, columns, exact=not remark, remark=remark)


def plan_for_runner(
    field: ReceptiveField,
    height: int,
    width: int,
    tile: int,
    accepts: Callable[[Shape], bool],
    *,
    halo: int | None = None,
) -> Plan:
    """Return the plan of the smallest windows that a runner accepts, else of fixed ones.

    Raises:
        ShapeError: it accepts none of them; and as for `plan_tiles`.
    """
    tried = []
    for sizes in get_args(Sizes):
        plan = plan_tiles(field, height, width, tile, halo=halo, sizes=sizes)
        if accepts((1, *plan.shape)):
            return plan
        tried.append(shape_text(plan.shape))
    raise ShapeError(
        f"the model runs no windows of {' or '.join(dict.fromkeys(tried))}; take a --tile that its profiles hold"
    )


def smallest_tile(field: ReceptiveField) -> int:
    """Return a `tile` that is exact for images of every size: halo, one stride of labels, and ragged ends."""
    halo = max(own.sum for own in field.halos(0, 0))
    ragged = 0 if field.divisor > 1 else 2 * (field.alignment - 1)
    return halo + field.alignment + ragged


def _extended(side: int, tile: int, field: ReceptiveField, sizes: Sizes) -> int:
    """Extend a side to whole windows; one that is not cut stays as it is."""
    if sizes == "fixed":
        return max(tile, side + (tile - side) % field.alignment)
    return side if side <= tile else -(-side // field.divisor) * field.divisor


def _smaller(needed: Halo, halo: int | None) -> Halo:
    return needed if halo is None else Halo(min(needed.before, halo), min(needed.after, halo))


def _remark(field: ReceptiveField, axes: tuple[Axis, Axis], needed: int, halo: int | None) -> str:
    """Return why the labels are not the whole image's; "" if they are."""
    if halo is not None and halo < needed:
        return f"the halo is {halo} pixels and exact labels need {needed}"
    if all(axis.extended == axis.side for axis in axes):
        return ""
    sides = shape_text([axis.side for axis in axes])
    extended = shape_text([axis.extended for axis in axes])
    reason = "windows of one size do not fill it otherwise"
    if field.divisor > 1:
        reason = f"{field.tied_by} gives the same labels in tiles only where {field.divisor} divides the sides"
    return f"the image of {sides} was extended to {extended} by its last row and column: {reason}"


def _axis(side: int, extended: int, tile: int, halo: Halo, field: ReceptiveField, sizes: Sizes) -> Axis:
    """Return the fewest windows of at most `tile`, and unless other `sizes` are asked for the smallest that many."""
    if extended <= tile:
        return Axis(side, extended, extended, (0,), (0, extended))
    alignment = field.alignment
    window = tile - (tile - extended) % alignment
    count = _count(extended, window, halo, alignment)
    if count == 0:
        raise ShapeError(
            f"tiles of {tile} pixels are too small: {halo.before} + {halo.after} of them are halo and windows start "
            f"at multiples of {alignment}; take --tile {smallest_tile(field)} or more, or a smaller --halo, which "
            "changes some labels"
        )
    while sizes == "smallest" and _count(extended, window - alignment, halo, alignment) == count:
        window -= alignment
    step = _step(window, halo, alignment)
    starts = (*(index * step for index in range(count - 1)), extended - window)
    middles = [_seam(start, following, window, halo) for start, following in pairwise(starts)]
    return Axis(side, extended, window, starts, (0, *middles, extended))


def _step(window: int, halo: Halo, alignment: int) -> int:
    """Return the distance between windows whose valid labels just meet; below 1 if they cannot."""
    return (window - halo.sum) // alignment * alignment


def _count(side: int, window: int, halo: Halo, alignment: int) -> int:
    """Return how many windows cover `side`; 0 if no number does."""
    step = _step(window, halo, alignment)
    return 0 if step < 1 else -(-(side - window) // step) + 1


def _seam(start: int, following: int, window: int, halo: Halo) -> int:
    """Return the middle of the labels that are valid in both windows."""
    return (following + halo.before + start + window - halo.after) // 2
