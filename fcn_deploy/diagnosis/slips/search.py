"""Try slips, alone and in pairs, and count how many labels each explains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.diagnosis.slips.equality import NOTHING, compare
from fcn_deploy.diagnosis.slips.forward import Forward, Made
from fcn_deploy.diagnosis.slips.slip import KINDS, ForeignFrame, Labels, Slip
from fcn_deploy.diagnosis.slips.ties import Ties
from fcn_deploy.diagnosis.slips.views import FrameView, view_of
from fcn_deploy.system.progress import SILENT, Progress, track

FILTER_FRAMES = 2  # on which single slips are tried; pairs on the first of them
PAIRED = 5  # of the best slips at the network's input, each with every other
FINALISTS = 8  # tried on all frames
CLEAR = 0.99  # of the labels; above this no pair is tried
Combination = tuple[Slip, ...]


@dataclass(frozen=True)
class Trial:
    """What slips explain.

    Attributes:
        name: of the slips, in words.
        share: of the labels, 0..1.
        blocks: float64[...] the same in each block of each label map.
    """

    slips: Combination
    name: str
    share: float
    blocks: NDArray[np.float64]


def search(
    frames: Sequence[ForeignFrame], slips: Sequence[Slip], forward: Forward, progress: Progress = SILENT
) -> list[Trial]:
    """Return the trials on all frames, the largest share first; the one without any slip is among them."""
    views = [view_of(frame) for frame in frames[:FILTER_FRAMES]]
    before = [slip for slip in slips if slip.of_input and _possible(slip, frames)]
    behind = [slip for slip in slips if not slip.of_input]
    whole = [slip for slip in behind if slip.scores is not None]
    fronts: list[Combination] = [(), *((slip,) for slip in before)]
    tried = _tried("slips, one by one", fronts, _behind(behind), views, forward, progress)
    tried += _tried("slips behind the network", [()], _pairs_behind(behind), views, forward, progress)
    if any(view.window is not None for view in views):
        tried += _tried(
            "slips of whole maps", [()], [(slip,) for slip in whole], [FrameView(frames[0])], forward, progress
        )
    if max(trial.share for trial in tried) < CLEAR:
        pairs = sorted(_pairs_before(tried, before), key=lambda pair: [slip.name for slip in pair])
        tried += _tried("pairs of slips", pairs, [()], views[:1], forward, progress)
    return _on_all_frames(tried, frames, forward, progress)


def _behind(slips: Sequence[Slip]) -> list[Combination]:
    return [(), *((slip,) for slip in slips)]


def _pairs_behind(slips: Sequence[Slip]) -> list[Combination]:
    return [_in_order(one, two) for one, two in combinations(slips, 2) if one.kind != two.kind]


def _pairs_before(tried: Sequence[Trial], before: Sequence[Slip]) -> set[Combination]:
    alone = sorted((trial for trial in tried if len(trial.slips) == 1 and trial.slips[0].of_input), key=_by_share)
    chosen = [trial.slips[0] for trial in distinct(alone)[:PAIRED]]
    return {_in_order(one, two) for one in chosen for two in before if one.kind != two.kind}


def _in_order(one: Slip, two: Slip) -> Combination:
    return tuple(sorted((one, two), key=lambda slip: KINDS.index(slip.kind)))


def _possible(slip: Slip, frames: Sequence[ForeignFrame]) -> bool:
    return not slip.stored or any(frame.raw is not None for frame in frames)


def _tried(
    what: str,
    fronts: Sequence[Combination],
    backs: Sequence[Combination],
    views: Sequence[FrameView],
    forward: Forward,
    progress: Progress,
) -> list[Trial]:
    return [*_trials(track(progress, f"trying {what}", fronts, len(fronts)), backs, views, forward)]


def _trials(
    fronts: Iterable[Combination], backs: Sequence[Combination], views: Sequence[FrameView], forward: Forward
) -> Iterator[Trial]:
    for front in fronts:
        for back in backs:
            trial = _trial((*front, *back), views, forward)
            if trial is not None:
                yield trial


def _on_all_frames(
    tried: Sequence[Trial], frames: Sequence[ForeignFrame], forward: Forward, progress: Progress
) -> list[Trial]:
    one, two = (
        distinct(sorted((trial for trial in tried if len(trial.slips) == number), key=_by_share))[: FINALISTS // 2]
        for number in (1, 2)
    )
    chosen: list[Combination] = [(), *dict.fromkeys(trial.slips for trial in (*one, *two))]
    views = [FrameView(frame) for frame in frames]
    return sorted(_tried("the best on all label maps", chosen, [()], views, forward, progress), key=_by_share)


def distinct(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials without those that are variants of an earlier one."""
    found: dict[tuple[str, ...], Trial] = {}
    for trial in trials:
        found.setdefault(tuple(slip.variant_of or slip.name for slip in trial.slips), trial)
    return [*found.values()]


def _by_share(trial: Trial) -> float:
    return -trial.share


def _trial(slips: Combination, views: Sequence[FrameView], forward: Forward) -> Trial | None:
    """Return the share of the labels that these slips explain; None where they cannot have been made."""
    front = tuple(slip for slip in slips if slip.of_input)
    back = [slip for slip in slips if not slip.of_input]
    scores = next((slip for slip in back if slip.scores is not None), None)
    made: list[Made] = []
    for view in views:
        found = forward(front, scores, view)
        if found is None:
            return None
        made.append(found)
    written = [_written(view.frame.labels, back) for view in views]
    if any(slip.along_side for slip in back) and any(
        each.size != labels.shape for each, labels in zip(made, written, strict=True)
    ):
        return None
    given = [view.part(labels) for view, labels in zip(views, written, strict=True)]
    stepped = _stepped(made, given, [slip for slip in back if slip is not scores])
    if stepped is None:
        return None
    predictions, names = stepped
    fixed = not any(slip.kind == "size" for slip in front)
    equal = [
        compare(own, part) if _fits(each.size, labels.shape, view.frame.image.shape[:2], fixed) else NOTHING
        for own, part, each, labels, view in zip(predictions, given, made, written, views, strict=True)
    ]
    found_names = [slip.name for slip in (*front, *([scores] if scores else []))] + names
    blocks = np.concatenate([each.blocks for each in equal])
    return Trial(slips, " and ".join(found_names), float(np.mean([each.share for each in equal])), blocks)


def _fits(own: tuple[int, ...], given: tuple[int, ...], image: tuple[int, ...], fixed: bool) -> bool:
    """Return whether a map of size `own` may be the given one.

    Args:
        image: (H, W) of the image; where the given map has this size or (W, H), `own` must have it if it is `fixed`.
    """
    return own == given or not fixed or given not in (tuple(image), tuple(image)[::-1])


def _written(labels: Labels, back: Sequence[Slip]) -> Labels:
    """Return the given map with the slip of its writing undone."""
    undo = next((slip.undo for slip in back if slip.undo is not None), None)
    return labels if undo is None else undo(labels)


def _stepped(
    made: Sequence[Made], given: list[Labels], slips: Sequence[Slip]
) -> tuple[list[Labels | Ties], list[str]] | None:
    """Return the predictions with slips of the labels, and what these are called; None where nothing fits."""
    names = []
    predictions = [each.labels for each in made]
    ties = [each.ties for each in made]
    for slip in slips:
        name, step = slip.name, slip.labels
        if slip.fit is not None:
            fitted = slip.fit(predictions, given)
            if fitted is None:
                return None
            name, step = fitted
        if step is not None:
            predictions = [step(labels) for labels in predictions]
            ties = [None if each is None else each.after(slip, step) for each in ties]
        names.append(name)
    made_labels: list[Labels | Ties] = []
    for labels, each in zip(predictions, ties, strict=True):
        made_labels.append(labels if each is None else each)
    return made_labels, names
