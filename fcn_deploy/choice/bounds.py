"""Judge a candidate by its first frames: bound what its change on all frames can be at best.

Frames are sampled without replacement from a finite set, so the error shrinks with the share that was seen, (1 - n/N),
and is nothing at the end (Cochran, "Sampling Techniques", Wiley 1977, 2.6). The standard error is the jackknife's,
which works for ratios of sums such as the IoU (Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter
11): the figure is computed again without each frame. The quantile is Student's at 99.9 %, one-sided, because each
candidate is looked at several times and a wrong "no" is never corrected.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.choice.scoring import FrameCounts
from fcn_deploy.metrics.budget import BOUNDARY, AccuracyBudget, ImageCounts, Limit, judge
from fcn_deploy.metrics.budget_words import allowed_words
from fcn_deploy.metrics.scores import Counts, ratio

# A change in points from int64[C, C] counts of the reference and of the candidate.
ChangeOf = Callable[[Counts, Counts], float]
# Degrees of freedom -> one-sided 99.9 % quantile of Student's t; a number between two takes the smaller one's.
STUDENT = {7: 4.785, 10: 4.144, 15: 3.733, 20: 3.552, 31: 3.375, 63: 3.225, 127: 3.157}
FIRST = 8


def stages(frames: int) -> tuple[int, ...]:
    """Return the numbers of frames after which a candidate is looked at: 8, 16, 32, ..., all."""
    found = [FIRST << step for step in range(32) if FIRST << step < frames]
    return (*found, frames)


def best_change(before: Counts, after: Counts, frames: int, change_of: ChangeOf) -> float:
    """Return what `change_of` can be on all `frames` at best, from int64[n, C, C] counts of the first n.

    On all of them it is the change itself. With fewer than eight frames nothing is known: infinity.
    """
    seen = len(before)
    total_before, total_after = before.sum(axis=0), after.sum(axis=0)
    change = change_of(total_before, total_after)
    if seen >= frames:
        return change
    if seen < FIRST or math.isnan(change):
        return math.inf
    without = np.array([change_of(total_before - before[k], total_after - after[k]) for k in range(seen)])
    without = np.where(np.isnan(without), change, without)
    error = math.sqrt((seen - 1) / seen * float(((without - without.mean()) ** 2).sum()) * (1 - seen / frames))
    quantile = STUDENT[max(freedom for freedom in STUDENT if freedom <= seen - 1)]
    return change + quantile * error


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
            f"{limit.figure} {now:+.2f} points after {len(after)} of {self.frames} frames, {best:+.2f} at best; "
            f"{allowed_words(limit.allowed)}"
        )


def _ious(counts: Counts) -> NDArray[np.float64]:
    correct = np.diag(counts)
    return ratio(correct, counts.sum(axis=0) + counts.sum(axis=1) - correct)
