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
    own, other = predictions[0], nearest(given[0], predictions[0].shape)
    inner = (slice(REACH, -REACH, _STRIDE), slice(REACH, -REACH, _STRIDE))
    if min(own.shape) < 4 * REACH:
        return None
    best, found = -1, (0, 0)
    reach = range(-REACH, REACH + 1)
    for down, right in sorted(product(reach, reach), key=lambda moved: abs(moved[0]) + abs(moved[1])):
        rows = slice(REACH - down, own.shape[0] - REACH - down, _STRIDE)
        columns = slice(REACH - right, own.shape[1] - REACH - right, _STRIDE)
        same = int((own[rows, columns] == other[inner]).sum())
        if same > best:
            best, found = same, (down, right)
    if found == (0, 0):
        return None
    words = [
        f"{abs(n)} px {(plus if n > 0 else minus)}"
        for n, plus, minus in zip(found, ("down", "right"), ("up", "left"), strict=True)
        if n
    ]
    return f"shifted by {' and '.join(words)}", partial(shifted, down=found[0], right=found[1])


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
