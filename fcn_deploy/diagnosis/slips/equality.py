"""Count equal labels of two label maps, whole and in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.diagnosis.slips.geometry import nearest
from fcn_deploy.diagnosis.slips.ties import Ties

GRID = 6  # blocks along each side
_SEED = 0


@dataclass(frozen=True)
class Equality:
    """How much of a label map equals another one.

    Attributes:
        share: of the labels, 0..1.
        blocks: float64[...] the same in each block of the map.
    """

    share: float
    blocks: NDArray[np.float64]


NOTHING = Equality(0.0, np.zeros(GRID * GRID))


def compare(own: NDArray[Any] | Ties, given: NDArray[Any]) -> Equality:
    """Compare maps that may have two sizes: the smaller one is enlarged, nearest.

    Args:
        own: predicted, integer[h, w]; or ties of such, of which one must be equal. What ties give for the same labels
            in a random order is taken off: the share is (equal - chance) / (1 - chance).
        given: integer[h, w] of the other program, modulo 256 or 65536 if it has 8 or 16 bits.
    """
    size = own.packed.shape[:2] if isinstance(own, Ties) else own.shape
    if size != given.shape:
        shape = max(size, given.shape, key=lambda each: each[0] * each[1])
        own, given = own.resized(shape) if isinstance(own, Ties) else nearest(own, shape), nearest(given, shape)
    most = {"uint8": 0xFF, "uint16": 0xFFFF}.get(given.dtype.name)
    if not isinstance(own, Ties):
        return _of((own if most is None else own.astype(np.int32) & most) == given, 0.0)
    given = given.astype(np.int64)
    shuffled = np.random.default_rng(_SEED).permutation(given.reshape(-1)).reshape(given.shape)
    return _of(own.allow(given, most), float(own.allow(shuffled, most).mean()))


def _of(equal: NDArray[np.bool_], chance: float) -> Equality:
    rows, columns = (np.arange(min(GRID, size)) * size // min(GRID, size) for size in equal.shape)
    counts = np.add.reduceat(np.add.reduceat(equal.astype(np.float64), rows, axis=0), columns, axis=1)
    sizes = np.outer(*(np.diff([*edges, size]) for edges, size in zip((rows, columns), equal.shape, strict=True)))
    shares = np.array([equal.mean(), *(counts / sizes).reshape(-1)])
    beyond = shares if chance == 0 else (shares - chance) / max(1 - chance, 1e-9)
    return Equality(max(0.0, float(beyond[0])), beyond[1:])
