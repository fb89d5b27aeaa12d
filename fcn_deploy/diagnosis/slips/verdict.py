"""Choose among trials: the fewest slips that explain about as much, and a name only above the limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fcn_deploy.diagnosis.slips.report import Explanation, SlipReport, Verdict
from fcn_deploy.diagnosis.slips.search import Trial
from fcn_deploy.diagnosis.slips.slip import ForeignFrame

SAME = 0.97  # share of equal labels from which an unexplained rest may be the precision's
LIMIT = 0.8  # least share that a named slip explains
HALVED = 0.5  # a named slip leaves less than this share of what no slip, and one label everywhere, leave
BY_SHAPE = 0.2  # the least of a slip that the map's shape shows
ALIKE = 0.0015  # shares that differ by less are the same
PAIR_GAIN = 0.7  # a pair leaves at most this much of what the best single slip leaves


def judge(
    trials: Sequence[Trial], frames: Sequence[ForeignFrame], reference: str, folder: str, runs: int
) -> SlipReport:
    """Choose among `trials`, which hold the one without a slip: the fewest slips that explain about as much."""
    as_they_are = next(trial.share for trial in trials if not trial.slips)
    one_label = float(
        np.mean([np.unique(frame.labels, return_counts=True)[1].max() / frame.labels.size for frame in frames])
    )
    named = [trial for trial in trials if trial.slips]
    alone = next((trial for trial in named if len(trial.slips) == 1), None)
    best = next(iter(named), None)
    if best is not None and alone is not None and 1 - best.share > PAIR_GAIN * (1 - alone.share):
        best = alone
    verdict: Verdict = "same" if as_they_are >= SAME else "unexplained"
    if best is not None and best.share >= LIMIT and 1 - best.share < HALVED * (1 - max(as_they_are, one_label)):
        verdict = "explained"
    if best is not None and best.share >= BY_SHAPE and any(slip.along_side for slip in best.slips):
        verdict = "explained"
    ordered = [] if best is None else [best, *(trial for trial in named if trial is not best)]
    tried = tuple(Explanation(t.name, tuple(slip.fix for slip in t.slips), t.share) for t in ordered)
    alike = [t.name for t in ordered[1:] if _alike(ordered[0], t)]
    height, width = frames[0].labels.shape
    size = frames[0].image.shape
    return SlipReport(
        reference,
        folder,
        len(frames),
        verdict,
        as_they_are,
        one_label,
        tried,
        (height, width),
        (size[0], size[1]),
        runs,
        tuple(alike),
    )


def _alike(best: Trial, other: Trial) -> bool:
    """Return whether two explanations have the same share; a fitted one, which can be any, does not count."""
    fitted = any(slip.fit is not None for slip in other.slips)
    return not fitted and len(other.slips) == len(best.slips) and best.share - other.share < ALIKE
