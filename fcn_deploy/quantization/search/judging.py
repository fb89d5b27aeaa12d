"""Judge passes of a search against FP32's by a budget, and say how far one is from passing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fcn_deploy.errors import DataError
from fcn_deploy.metrics.budget import BOUNDARY, MIOU, AccuracyBudget, Judgement, Limit, judge, least_allowed
from fcn_deploy.quantization.search.images import PassResult

LEAST_SCALE = 0.01  # points: what a limit of 0 is measured in
STEP = 0.01  # points: of limits that are advised


@dataclass(frozen=True)
class PassJudge:
    """Judges the labels of a rewritten graph.

    Attributes:
        budget: what may be lost.
        classes: names, index = label.
        fp32: the pass that others are compared with.
    """

    budget: AccuracyBudget
    classes: tuple[str, ...]
    fp32: PassResult

    def check(self) -> None:
        """Raise DataError for a limit that no pass can be judged by: the truth has no pixel of its class."""
        for judged in self.judge(self.fp32):
            if judged.loss is None:
                raise DataError(f"{judged.sentence}; leave the limit out, or give images that show it (--data)")

    def judge(self, measured: PassResult) -> tuple[Judgement, ...]:
        """Return what becomes of each limit."""
        return judge(self.fp32.counts, measured.counts, self.budget, self.classes)

    def passes(self, measured: PassResult) -> bool:
        """Tell whether every limit is passed; one that is not judged is not."""
        return all(judged.verdict == "passed" for judged in self.judge(measured))

    def hardest(self, measured: PassResult) -> Judgement:
        """Return the limit of which a pass takes the largest share."""
        return max(self.judge(measured), key=share_of_limit)

    def missing(self, measured: PassResult) -> float:
        """Return by what share the most exceeded limit would have to be wider for a pass to be within it."""
        return max((_needed(judged) - judged.limit.allowed) / _scale(judged.limit) for judged in self.judge(measured))

    def wider(self, measured: PassResult) -> AccuracyBudget:
        """Return the budget with each limit that is not passed widened, to the hundredth, until it is."""
        wanted = {
            judged.limit.words: judged.limit.allowed if judged.verdict == "passed" else _up(_needed(judged))
            for judged in self.judge(measured)
        }
        means = {limit.option: wanted[limit.words] for limit in self.budget.limits if not limit.class_name}
        classes = {limit.class_name: wanted[limit.words] for limit in self.budget.limits if limit.class_name}
        return AccuracyBudget(means.get(MIOU), means.get(BOUNDARY), classes)


def share_of_limit(judged: Judgement) -> float:
    """Return the loss over what is allowed."""
    return -1.0 if judged.loss is None else judged.loss.value / _scale(judged.limit)


def _scale(limit: Limit) -> float:
    return max(abs(limit.allowed), LEAST_SCALE)


def _needed(judged: Judgement) -> float:
    return float("inf") if judged.loss is None else least_allowed(judged.loss)


def _up(points: float) -> float:
    return math.ceil(points / STEP) * STEP
