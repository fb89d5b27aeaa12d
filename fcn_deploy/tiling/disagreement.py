"""Measure what a smaller halo changes on a part of the image: some exact tiles against the tiles in use."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.tiling.plan import Axis, Plan
from fcn_deploy.tiling.run import Infer, Region, label_region
from fcn_deploy.tiling.windows import ImageWindows

SAMPLE = 4  # exact tiles that are run


@dataclass(frozen=True)
class Disagreement:
    """Labels of one plan that are not those of an exact one.

    Attributes:
        differing, pixels: how many of how many compared.
        tiles, of_tiles: exact tiles that were run for it, and those of the whole image.
    """

    differing: int
    pixels: int
    tiles: int
    of_tiles: int

    @property
    def share(self) -> float:
        return self.differing / self.pixels

    def __str__(self) -> str:
        return (
            f"{self.share:.3%} of {self.pixels:,} labels differ from the whole image's "
            f"({self.tiles} of {self.of_tiles} exact tiles looked at)"
        )


def measure_disagreement(
    infer: Infer,
    image: ImageWindows,
    plan: Plan,
    exact: Plan,
    *,
    sample: int | None = SAMPLE,
    progress: Progress = SILENT,
) -> Disagreement:
    """Compare `plan` with `exact` on `sample` tiles of the latter, spread evenly; None takes all.

    Errors as for `labels_of`.
    """
    cells = list(product(_label_ranges(exact.rows), _label_ranges(exact.columns)))
    chosen = cells if sample is None else [cells[index] for index in _evenly_spaced(len(cells), sample)]
    differing = pixels = 0
    for (top, bottom), (left, right) in track(progress, "comparing with exact tiles", chosen, len(chosen)):
        labels, others = (label_region(infer, image, each, Region(top, left, bottom, right)) for each in (plan, exact))
        differing += int(np.count_nonzero(labels != others))
        pixels += labels.size
    return Disagreement(differing, pixels, len(chosen), len(cells))


def _label_ranges(axis: Axis) -> list[tuple[int, int]]:
    return [(first, last) for first, last in axis.label_ranges if last > first]


def _evenly_spaced(count: int, sample: int) -> list[int]:
    """Return `sample` of `count` indices, in the middles of equal parts."""
    taken = min(count, sample)
    return [(2 * index + 1) * count // (2 * taken) for index in range(taken)]
