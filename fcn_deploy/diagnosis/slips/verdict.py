"""Choose among trials: the fewest slips that explain about as much, and a name only above the limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fcn_deploy.diagnosis.slips.report import SAME, Explanation, SlipReport, Verdict
from fcn_deploy.diagnosis.slips.search import Trial
from fcn_deploy.diagnosis.slips.slip import ForeignFrame

LIMIT = 0.8  # least share that a named slip explains
HALVED = 0.5  # a named slip leaves less than this share of what no slip, and one label everywhere, leave
PAIR_GAIN = 0.7  # a pair leaves at most this much of what the best single slip leaves
ALIKE = 0.0005  # shares that differ by less are the same
CERTAIN = 3.0  # standard errors over the blocks of all maps, by which one share is larger than another
MOST = 3  # explanations that are named together


def judge(
    trials: Sequence[Trial], frames: Sequence[ForeignFrame], reference: str, folder: str, runs: int
) -> SlipReport:
    """Choose among `trials`, which hold the one without a slip: the fewest slips that explain about as much."""
    as_they_are = next(trial.share for trial in trials if not trial.slips)
    one_label = float(
        np.mean([np.unique(frame.labels, return_counts=True)[1].max() / frame.labels.size for frame in frames])
    )
    named = [trial for trial in trials if trial.slips]
    # Where one label is nearly all of a map, what is left may be the precision's, and fits any second slip.
    chosen = _chosen([trial for trial in named if len(trial.slips) == 1 or one_label < SAME])
    verdict: Verdict = "same" if as_they_are >= SAME else "unexplained"
    if chosen and len(chosen) <= MOST and _explains(chosen[0], max(as_they_are, one_label)):
        verdict = "explained"
    ordered = sorted(named, key=lambda trial: not any(trial is first for first in chosen[:1]))
    tried = tuple(Explanation(t.name, tuple(slip.fix for slip in t.slips), t.share) for t in ordered)
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
        tuple(trial.name for trial in chosen[1:]),
    )


def _chosen(named: Sequence[Trial]) -> list[Trial]:
    """Return the best explanation and those that no one can tell from it, of `named` trials in order of their shares.

    It is a single slip unless pairs leave clearly less; and where more pairs are alike than can be named.
    """
    alone, pairs = ([trial for trial in named if len(trial.slips) == count] for count in (1, 2))
    if not pairs or (alone and 1 - pairs[0].share >= PAIR_GAIN * (1 - alone[0].share)):
        return _alike(alone)
    together = _alike(pairs)
    return together if len(together) <= MOST or not alone else _alike(alone)


def _alike(trials: Sequence[Trial]) -> list[Trial]:
    """Return the first of `trials`, and those of which none is certain to explain less."""
    return [trial for trial in trials if trial is trials[0] or _may_be(trials[0], trial)]


def _may_be(best: Trial, other: Trial) -> bool:
    """Return whether `other` may explain as much as `best`; a fitted slip, which can be any, does not count."""
    if any(slip.fit is not None for slip in other.slips):
        return False
    if best.share - other.share < ALIKE:
        return True
    if best.blocks.shape != other.blocks.shape:
        return False
    gains = best.blocks - other.blocks
    return bool(gains.mean() < CERTAIN * gains.std() / np.sqrt(gains.size))


def _explains(trial: Trial, without: float) -> bool:
    return trial.share >= LIMIT and 1 - trial.share < HALVED * (1 - without)
