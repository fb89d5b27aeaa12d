"""Find the shift or the exchange of class ids that brings predictions closest to given label maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.diagnosis.slips.geometry import nearest, shifted
from fcn_deploy.diagnosis.slips.slip import LabelStep

REACH = 8  # pixels
_STRIDE = 3  # of the rows and columns that a shift is found on; odd, as blocks of labels often are even


def fit_shift(predictions: Sequence[NDArray[Any]], given: Sequence[NDArray[Any]]) -> tuple[str, LabelStep] | None:
    """Return the shift of at most `REACH` pixels with the largest share of equal labels; None if there is none."""
    if min(min(own.shape) for own in predictions) < 4 * REACH:
        return None
    pairs = [(own, nearest(other, own.shape)) for own, other in zip(predictions, given, strict=True)]
    reach = range(-REACH, REACH + 1)
    found = _best_shift(pairs, sorted(product(reach, reach), key=lambda moved: abs(moved[0]) + abs(moved[1])), _STRIDE)
    around = [
        (found[0] + down, found[1] + right)
        for down, right in product((0, -1, 1), repeat=2)
        if max(abs(found[0] + down), abs(found[1] + right)) <= REACH
    ]
    found = _best_shift(pairs, around, 1)
    if found == (0, 0):
        return None
    words = [
        f"{abs(n)} px {(plus if n > 0 else minus)}"
        for n, plus, minus in zip(found, ("down", "right"), ("up", "left"), strict=True)
        if n
    ]
    return f"shifted by {' and '.join(words)}", partial(shifted, down=found[0], right=found[1])


def _best_shift(
    pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]], shifts: Sequence[tuple[int, int]], stride: int
) -> tuple[int, int]:
    """Return the first of `shifts`, (down, right), with the most equal labels in every `stride`-th row and column."""

    inner = (slice(REACH, -REACH, stride),) * 2

    def equal(moved: tuple[int, int]) -> int:
        return sum(int((own[_moved(moved, own.shape, stride)] == other[inner]).sum()) for own, other in pairs)

    return max(shifts, key=equal)


def _moved(moved: tuple[int, int], shape: tuple[int, ...], stride: int) -> tuple[slice, ...]:
    """Return the part that a shift moves to the map without `REACH` pixels at each edge."""
    return tuple(slice(REACH - n, size - REACH - n, stride) for n, size in zip(moved, shape, strict=True))


def fit_ids(predictions: Sequence[NDArray[Any]], given: Sequence[NDArray[Any]]) -> tuple[str, LabelStep] | None:
    """Return the exchange of class ids, one for one, with the largest share of equal labels; None if there is none."""
    size = 1 + max(int(array.max()) for array in (*predictions, *given))
    if size > 256 or min(int(array.min()) for array in (*predictions, *given)) < 0:
        return None
    counts = np.zeros((size, size), np.int64)
    for own, other in zip(predictions, given, strict=True):
        pairs = own.astype(np.int64) * size + nearest(other, own.shape)
        counts += np.bincount(pairs.reshape(-1), minlength=size * size).reshape(size, size)
    ids = _one_for_one(counts)
    seen = np.flatnonzero(counts.sum(1))
    moved = [index for index in seen if ids[index] != index]
    if not moved:
        return None
    words = ", ".join(f"{index} is {ids[index]}" for index in moved[:4]) + (", ..." if len(moved) > 4 else "")
    return f"class ids permuted ({words})", partial(_exchanged, ids=ids)


def _exchanged(labels: NDArray[Any], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ids of labels, which stay where there is none."""
    return np.where(labels < len(ids), ids[np.minimum(labels, len(ids) - 1)], labels)


def _one_for_one(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row its column: the largest counts first; rows without any keep theirs where it is free."""
    left = counts.copy()
    ids = np.arange(len(counts))
    free = set(range(len(counts)))
    rows = set(free)
    while left.max() > 0:
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        ids[row] = column
        left[row, :] = left[:, column] = 0
        free.discard(int(column))
        rows.discard(int(row))
    for kept in sorted(rows & free):
        ids[kept] = kept
    ids[sorted(rows - free)] = sorted(free - rows)
    return ids
