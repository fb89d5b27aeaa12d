"""Judge a candidate by the budgets: early, by what its first frames rule out, and in the end by the shared rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.choice.bounds import best_change
from fcn_deploy.choice.scoring import FrameCounts
from fcn_deploy.metrics.budget import BOUNDARY, AccuracyBudget, ImageCounts, Limit, judge
from fcn_deploy.metrics.scores import Counts, ratio


@dataclass(frozen=True)
class Examiner:
    """Judges candidates on the frames of one data set.

    Attributes:
        classes: names, index = label.
        present: bool[C], classes of the ground truth.
        frames: how many there are.
    """

    budget: AccuracyBudget
    classes: tuple[str, ...]
    present: NDArray[np.bool_]
    frames: int

    def objection(self, before: FrameCounts, after: FrameCounts) -> str:
        """Say which limit the candidate does not keep, as far as its first frames show; "" if none is known.

        On some frames a limit counts as exceeded if it is surely exceeded on all; on all frames each limit has to be
        passed by the rule of `metrics.budget`: "not judged" does not pass.
        """
        if len(after) >= self.frames:
            return self._final(before, after)
        return next(filter(None, (self._early(limit, before, after) for limit in self.budget.limits)), "")

    def _final(self, before: FrameCounts, after: FrameCounts) -> str:
        sides = [ImageCounts(side.overall, side.boundary, len(side)) for side in (before, after)]
        found = judge(sides[0], sides[1], self.budget, self.classes)
        return next((f"{each.verdict}: {each.sentence}" for each in found if each.verdict != "passed"), "")

    def _early(self, limit: Limit, before: FrameCounts, after: FrameCounts) -> str:
        near = limit.option == BOUNDARY
        one, two = (side.boundary if near else side.overall for side in (before, after))
        index = self.classes.index(limit.class_name) if limit.class_name else None

        def change(old: Counts, new: Counts) -> float:
            """Return points gained on some frames; a class that they do not show counts as unchanged."""
            changes = _ious(new) - _ious(old)
            if index is not None:
                return 100 * float(changes[index])
            return 100 * float(np.nansum(changes)) / int(self.present.sum())

        best = best_change(one, two, self.frames, change)
        if best >= -limit.allowed:
            return ""
        now = change(one.sum(axis=0), two.sum(axis=0))
        return (
            f"{limit.figure} {now:+.2f} points after {len(after)} of {self.frames} frames, {best:+.2f} at best; a loss "
            f"of {limit.allowed:g} is allowed"
        )


def _ious(counts: Counts) -> NDArray[np.float64]:
    correct = np.diag(counts)
    return ratio(correct, counts.sum(axis=0) + counts.sum(axis=1) - correct)
