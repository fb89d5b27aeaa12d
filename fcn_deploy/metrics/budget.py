"""Define "unharmed": judge what a file loses against another one on the same images by budgets in points of IoU.

Every command that judges accuracy judges it here. With b points allowed, a loss is

- broken, where it is more than b and its 95 % interval excludes no loss at all,
- passed, where it is at most b and its interval excludes a loss of 2 b,
- not judged, where neither holds: these images cannot tell no loss from one of twice the budget.

The threshold lies midway between what has to pass, no loss, and what has to fail, twice the budget, so that both are
judged rightly 95 times in 100 as soon as the standard error of the loss is less than b / 1.65
(docs/ci-gate.md has the counts).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from fcn_deploy.errors import FcnDeployError, UnknownNameError
from fcn_deploy.metrics.bootstrap import Interval, IouChange, iou_change
from fcn_deploy.metrics.budget_words import allowed_words, doubt_words, evidence, moved
from fcn_deploy.metrics.scores import Counts, scores

Verdict = Literal["passed", "broken", "not judged"]
MIOU, BOUNDARY, CLASS = "--max-miou-drop", "--max-boundary-drop", "--max-class-drop"


@dataclass(frozen=True)
class AccuracyBudget:
    """Points of IoU that a file may lose; None and absent classes: no limit; below 0 it must gain.

    Attributes:
        miou_drop: of mean IoU.
        boundary_drop: of mean IoU near label changes of the ground truth.
        class_drops: of the IoU of single classes, by name.
    """

    miou_drop: float | None = None
    boundary_drop: float | None = None
    class_drops: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.limits)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Every limit that is set: mean IoU, near label changes, then the classes."""
        means = ((MIOU, "mean IoU", self.miou_drop), (BOUNDARY, "boundary mean IoU", self.boundary_drop))
        found = [Limit(option, figure, allowed) for option, figure, allowed in means if allowed is not None]
        return (*found, *(Limit(CLASS, f"IoU of {name}", most, name) for name, most in self.class_drops.items()))

    @property
    def words(self) -> str:
        """The options as they are typed: "--max-miou-drop 0.3 --max-class-drop pole=1,car=0.5"."""
        means = [limit.words for limit in self.limits if not limit.class_name]
        classes = ",".join(f"{name}={most:g}" for name, most in self.class_drops.items())
        return " ".join([*means, f"{CLASS} {classes}"] if classes else means)

    def check(self, classes: Iterable[str]) -> None:
        """Raise UnknownNameError for a limit on a class that is not among `classes`."""
        known = tuple(classes)
        for name in self.class_drops:
            if name not in known:
                raise UnknownNameError.of("class", name, known)


@dataclass(frozen=True)
class Limit:
    """One limit: its option, the figure that it is on, the points that may be lost, and the class, "" for a mean."""

    option: str
    figure: str
    allowed: float
    class_name: str = ""

    @property
    def words(self) -> str:
        """The option as it is typed: "--max-class-drop pole=1"."""
        value = f"{self.class_name}={self.allowed:g}" if self.class_name else f"{self.allowed:g}"
        return f"{self.option} {value}"


@dataclass(frozen=True)
class ImageCounts:
    """What one file's labels are against the ground truth.

    Attributes:
        overall: int64[I, C, C], a confusion matrix of each image (row = true class), or int64[1, C, C], their sum.
        boundary: the same near label changes of the truth; None where it was not counted.
        images: how many images.
    """

    overall: Counts
    boundary: Counts | None
    images: int


@dataclass(frozen=True)
class Judgement:
    """What became of one limit.

    Attributes:
        loss: points, below 0 for a gain, with its 95 % interval; None where nothing could be compared.
        sentence: what was found, on what evidence, and what is allowed.
    """

    limit: Limit
    verdict: Verdict
    loss: Interval | None
    sentence: str

    @property
    def line(self) -> str:
        """The verdict and the sentence."""
        return f"{self.verdict}: {self.sentence}"


def parse_class_drops(text: str) -> dict[str, float]:
    """Parse "pole=1,car=0.5" as points by class.

    Raises:
        FcnDeployError: an entry is not NAME=POINTS with 0 to 100 points, or a class comes twice.
    """
    drops: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, points = (part.strip() for part in entry.rpartition("="))
        if not name or not re.fullmatch(r"\d+(\.\d+)?", points) or float(points) > 100:
            raise FcnDeployError(f"'{entry}' is not CLASS=POINTS; write pole=1, or pole=1,car=0.5")
        if name in drops:
            raise FcnDeployError(f"class '{name}' has two limits; give one")
        drops[name] = float(points)
    if not drops:
        raise FcnDeployError("it names no class; write pole=1, or pole=1,car=0.5")
    return drops


def judge(
    before: ImageCounts, after: ImageCounts, budget: AccuracyBudget, classes: Sequence[str]
) -> tuple[Judgement, ...]:
    """Judge every limit of a budget by the labels of two files on the same images, in the same order.

    Args:
        classes: names, index = label.

    Raises:
        UnknownNameError: a limit is on a class that is not there.
    """
    budget.check(classes)
    return tuple(_judgements(before, after, budget.limits, classes))


def not_judged(budget: AccuracyBudget, reason: str) -> tuple[Judgement, ...]:
    """Return every limit of a budget as not judged, for the reason given."""
    return tuple(_unknown(limit, reason) for limit in budget.limits)


def _judgements(
    before: ImageCounts, after: ImageCounts, limits: Sequence[Limit], classes: Sequence[str]
) -> Iterator[Judgement]:
    compared = {near: _compared(before, after, near) for near in {limit.option == BOUNDARY for limit in limits}}
    for limit in limits:
        found = compared[limit.option == BOUNDARY]
        index = classes.index(limit.class_name) if limit.class_name else None
        if found is None:
            yield _unknown(limit, "pixels near label changes were not counted")
        elif not found.before[index].any() if index is not None else not found.before.any():
            yield _unknown(limit, "the ground truth has no pixel of it")
        else:
            yield _judgement(limit, found, index, before.images)


class _Compared(NamedTuple):
    """Counts of two files, int64[C, C] summed over the images, and the change between them."""

    before: Counts
    after: Counts
    change: IouChange


def _compared(before: ImageCounts, after: ImageCounts, near: bool) -> _Compared | None:
    old, new = (side.boundary if near else side.overall for side in (before, after))
    if old is None or new is None:
        return None
    if len(old) != len(new):  # one side lacks the counts of each image
        old, new = (side.sum(axis=0)[None] for side in (old, new))
    return _Compared(old.sum(axis=0), new.sum(axis=0), iou_change(old, new))


def _judgement(limit: Limit, found: _Compared, index: int | None, images: int) -> Judgement:
    loss = points_lost(found.change.mean if index is None else found.change.classes[index])
    old, new = (_iou(side, index) for side in (found.before, found.after))
    verdict = judge_loss(loss, limit.allowed)
    found_words = f"{limit.figure} {moved(loss.value)}, {old:.2f} to {new:.2f} ({evidence(loss, images)})"
    doubt = f", and {doubt_words(loss, limit.allowed, images)}" if verdict == "not judged" else ""
    return Judgement(limit, verdict, loss, f"{found_words}; {allowed_words(limit.allowed)}{doubt}")


def judge_loss(loss: Interval, allowed: float) -> Verdict:
    """Apply the rule at the top of this module to one loss in points; without an interval the bare loss decides."""
    lost = loss.value > allowed
    if loss.low is None or loss.high is None:
        return "broken" if lost else "passed"
    passing, failing = sorted((0.0, 2 * allowed))
    if lost:
        return "broken" if loss.low > passing else "not judged"
    return "passed" if loss.high <= failing else "not judged"


def least_allowed(loss: Interval) -> float:
    """Return the fewest points with which `judge_loss` calls a loss passed."""
    if loss.high is None or (loss.value < 0 and loss.high <= 0):
        return loss.value
    return max(loss.value, loss.high / 2)


def _unknown(limit: Limit, reason: str) -> Judgement:
    return Judgement(limit, "not judged", None, f"{limit.figure}: {reason}; {allowed_words(limit.allowed)}")


def points_lost(change: Interval) -> Interval:
    """Turn a change in fractions into a loss in points."""
    low, high = (None if end is None else -100 * end for end in (change.high, change.low))
    return Interval(0.0 if change.value == 0 else -100 * change.value, low, high)


def _iou(counts: Counts, index: int | None) -> float:
    found = scores(np.asarray(counts, np.int64))
    return 100 * (found.mean_iou if index is None else found.per_class_iou[index])
