"""Find the labels that a program may write where 8 bits cannot tell which score is the largest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.diagnosis.slips.geometry import nearest
from fcn_deploy.diagnosis.slips.slip import LabelStep, Slip

STEPS = 2  # of 8 bits over the range of all scores, by which an INT8 file may miss one


@dataclass(frozen=True)
class Ties:
    """Which scores of each pixel are within `STEPS` of the largest.

    Attributes:
        packed: uint8[h, w, ...], eight truth values in each byte.
        written: integer[K] the label that the program writes for each score.
    """

    packed: NDArray[np.uint8]
    written: NDArray[Any]

    @classmethod
    def of(cls, scores: NDArray[Any]) -> Ties:
        """Find the ties of scores [K, h, w]."""
        reach = STEPS * float(scores.max() - scores.min()) / 255
        near = scores >= scores.max(axis=0) - reach
        return cls(np.packbits(near.transpose(1, 2, 0), axis=-1), np.arange(len(scores)))

    def after(self, slip: Slip, step: LabelStep) -> Ties:
        """Return the ties of the labels behind a step of this slip: it moves labels, or gives them other ids."""
        if slip.kind == "place":
            return replace(self, packed=step(self.packed))
        return replace(self, written=step(self.written))

    def resized(self, shape: tuple[int, int]) -> Ties:
        """Return the ties at another size, by nearest pixels."""
        return replace(self, packed=nearest(self.packed, shape))

    def allow(self, labels: NDArray[Any], most: int | None) -> NDArray[np.bool_]:
        """Return for each of `labels` [h, w] whether it may be written there; `most` is the largest of its type."""
        written = self.written if most is None else self.written & most
        found = np.zeros(labels.shape, bool)
        for turn in range(len(written)):
            places = _places(written, turn, int(labels.max(initial=0)) + 1)
            if places is None:
                return found
            index = places[labels.clip(0)]
            byte = np.take_along_axis(self.packed, (index.clip(0) >> 3)[..., None], -1)[..., 0]
            found |= (index >= 0) & (labels >= 0) & ((byte << (index & 7) & 0x80) > 0)
        return found


def _places(written: NDArray[Any], turn: int, size: int) -> NDArray[np.int64] | None:
    """Return for each label below `size` the `turn`-th score that writes it, -1 without one; None if none has one."""
    places = np.full(size, -1, np.int64)
    seen = np.zeros(size, int)
    for score, label in enumerate(written):
        if 0 <= label < size:
            if seen[label] == turn:
                places[label] = score
            seen[label] += 1
    return places if (places >= 0).any() else None
