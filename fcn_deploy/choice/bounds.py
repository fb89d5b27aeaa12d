"""Bound what a change on all frames can be at best, from the first of them.

Frames are sampled without replacement from a finite set, so the error shrinks with the share that was seen, (1 - n/N),
and is nothing at the end (Cochran, "Sampling Techniques", Wiley 1977, 2.6). The standard error is the jackknife's,
which works for ratios of sums such as the IoU (Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter
11): the figure is computed again without each frame. The quantile is Student's at 99.9 %, one-sided, because each
candidate is looked at several times and a wrong "no" is never corrected.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fcn_deploy.metrics.scores import Counts

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
