"""Try slips, alone and in pairs, and count how many labels each explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.diagnosis.slips.geometry import nearest
from fcn_deploy.diagnosis.slips.network import CutNetwork
from fcn_deploy.diagnosis.slips.slip import KINDS, ForeignFrame, Slip

FILTER_FRAMES = 2  # on which single slips are tried; pairs on the first of them
PAIRED = 5  # of the best slips at the network's input, each with every other
FINALISTS = 8  # tried on all frames
CLEAR = 0.99  # of the labels; above this no pair is tried
Labels = NDArray[Any]


@dataclass(frozen=True)
class Trial:
    """Slips, in words, and the share of the labels that they explain, 0..1."""

    slips: tuple[Slip, ...]
    name: str
    share: float


class Forward:
    """Run the network with slips before it; the last results are kept, since slips behind it follow."""

    def __init__(self, reference: CutNetwork, others: Mapping[str, CutNetwork]) -> None:
        self._reference, self._others = reference, others
        self._key: tuple[str, ...] | None = None
        self._made: dict[str, NDArray[Any] | None] = {}
        self.runs = 0

    def __call__(self, slips: Sequence[Slip], frame: ForeignFrame) -> NDArray[Any] | None:
        """Return logits [C, H, W] or labels [H, W]; None where the network does not take such an image."""
        key = tuple(slip.name for slip in slips)
        if key != self._key:
            self._key, self._made = key, {}
        if frame.name not in self._made:
            self._made[frame.name] = self._run(slips, frame)
            self.runs += 1
        return self._made[frame.name]

    def _run(self, slips: Sequence[Slip], frame: ForeignFrame) -> NDArray[Any] | None:
        network, image = self._reference, frame.image
        for slip in slips:
            if slip.stored and frame.raw is not None:
                image = frame.raw
            if slip.image is not None:
                image = slip.image(image)
            if slip.network is not None:
                network = self._others[slip.network]
        values = next((slip.values for slip in slips if slip.values is not None), None)
        made = network.normalise(image) if values is None else values(image.astype(np.float32), network.normalisation)
        try:
            return network.scores(made.astype(np.float32, copy=False))
        except Exception:  # ONNX Runtime's own: a file of fixed size, for one
            if not slips:
                raise
            return None


def search(frames: Sequence[ForeignFrame], slips: Sequence[Slip], forward: Forward) -> list[Trial]:
    """Return the trials on all frames, the largest share first; the one without any slip is among them."""
    few = frames[:FILTER_FRAMES]
    before = [slip for slip in slips if slip.of_input and _possible(slip, frames)]
    behind = [slip for slip in slips if not slip.of_input]
    tried = _trials([(), *((slip,) for slip in before)], behind, few, forward)
    if max(trial.share for trial in tried) < CLEAR:
        alone = sorted((trial for trial in tried if len(trial.slips) == 1 and trial.slips[0].of_input), key=_by_share)
        chosen = [trial.slips[0] for trial in alone[:PAIRED]]
        pairs = {_in_order(one, two) for one in chosen for two in before if one.kind != two.kind}
        tried += _trials(sorted(pairs, key=lambda pair: [slip.name for slip in pair]), [], few[:1], forward)
    return _on_all_frames(tried, frames, forward)


def _on_all_frames(tried: Sequence[Trial], frames: Sequence[ForeignFrame], forward: Forward) -> list[Trial]:
    one = sorted((trial for trial in tried if len(trial.slips) == 1), key=_by_share)[: FINALISTS // 2]
    two = sorted((trial for trial in tried if len(trial.slips) == 2), key=_by_share)[: FINALISTS // 2]
    found = []
    for slips in [(), *(trial.slips for trial in (*one, *two))]:
        front, back = tuple(s for s in slips if s.of_input), tuple(s for s in slips if not s.of_input)
        trial = _trial(front, back[0] if back else None, frames, forward)
        found += [trial] if trial is not None else []
    return sorted(found, key=_by_share)


def _by_share(trial: Trial) -> float:
    return -trial.share


def _possible(slip: Slip, frames: Sequence[ForeignFrame]) -> bool:
    return not slip.stored or any(frame.raw is not None for frame in frames)


def _in_order(one: Slip, two: Slip) -> tuple[Slip, ...]:
    return tuple(sorted((one, two), key=lambda slip: KINDS.index(slip.kind)))


def _trials(
    fronts: Sequence[tuple[Slip, ...]], behind: Sequence[Slip], frames: Sequence[ForeignFrame], forward: Forward
) -> list[Trial]:
    made = [_trial(front, back, frames, forward) for front in fronts for back in (None, *behind)]
    return [trial for trial in made if trial is not None]


def _trial(
    front: tuple[Slip, ...], back: Slip | None, frames: Sequence[ForeignFrame], forward: Forward
) -> Trial | None:
    """Return the share of the labels that these slips explain; None where they cannot have been made."""
    predictions = []
    for frame in frames:
        scores = forward(front, frame)
        labels = None if scores is None else _labels(scores, back)
        if labels is None:
            return None
        predictions.append(labels)
    name = back.name if back is not None else ""
    given = [frame.labels for frame in frames]
    step = back.labels if back is not None else None
    if back is not None and back.fit is not None:
        fitted = back.fit(predictions, given)
        if fitted is None:
            return None
        name, step = fitted
    if step is not None:
        predictions = [step(labels) for labels in predictions]
    fixed = not any(slip.kind == "size" for slip in front)
    shares = [
        share(own, frame.labels, frame.image.shape[:2], fixed) for own, frame in zip(predictions, frames, strict=True)
    ]
    names = [slip.name for slip in front] + ([name] if back is not None else [])
    return Trial((*front, *([back] if back is not None else [])), " and ".join(names), float(np.mean(shares)))


def _labels(scores: NDArray[Any], back: Slip | None) -> Labels | None:
    if back is not None and back.scores is not None:
        return back.scores(scores).astype(np.int32) if scores.ndim == 3 else None
    return (scores.argmax(0) if scores.ndim == 3 else scores).astype(np.int32)


def share(own: Labels, given: Labels, image: tuple[int, ...], fixed: bool = True) -> float:
    """Return the share of equal labels, 0..1, of maps that may have two sizes: the smaller one is enlarged, nearest.

    Args:
        own: predicted; given: of the other program, modulo 256 if it is uint8.
        image: (H, W) of the image; where the given map has this size or (W, H), `own` must have it if it is `fixed`.
    """
    if own.shape != given.shape:
        if fixed and given.shape in (tuple(image), tuple(image)[::-1]):
            return 0.0
        shape = max(own.shape, given.shape, key=lambda size: size[0] * size[1])
        own, given = nearest(own, shape), nearest(given, shape)
    return float(((own & 255 if given.dtype == np.uint8 else own) == given).mean())
