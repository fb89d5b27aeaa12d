"""Which values of a label file mean which class.

The value of class i is i, or that of `values`. An explicit ignore index is the only unlabelled value. Otherwise 255
is unlabelled, and so is C, one past the last class (the convention of SegNet on CamVid). Above 255 classes, where 255
is a class, it is C, 65535 and -1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ignore_index_for
from fcn_deploy.errors import DataError, LabelError
from fcn_deploy.system.formatting import count

# What a colour marked as unlabelled becomes where the rule's own values cannot be in a decoded map: no file's value.
VOID = -(1 << 31)
BAND = 1 << 17  # pixels: a large map as a whole takes ten times as long, for memory that is asked for and not cached


def bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield the rows of a map of (H, W) in pieces whose intermediate results stay in a core's cache."""
    height, width = shape
    rows = max(1, BAND // max(1, width))
    return (slice(first, first + rows) for first in range(0, max(1, height), rows))


@dataclass(frozen=True)
class LabelRule:
    """Turns a file's label values into training labels.

    Attributes:
        num_classes: C.
        ignore_index: the one value that is unlabelled; None for the rule in the module's docstring.
        values: the value of each class in the files; None for 0 to C - 1. Then C is not unlabelled of itself.
        void: further unlabelled values.
    """

    num_classes: int
    ignore_index: int | None = None
    values: tuple[int, ...] | None = None
    void: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        num_classes: int,
        ignore_index: int | None = None,
        values: Sequence[int] | None = None,
        reduce_zero_label: bool = False,
    ) -> LabelRule:
        """Return the rule that a user asked for.

        Args:
            values: the value of each class in the files.
            reduce_zero_label: classes are numbered from 1 in the files, and 0 is unlabelled.

        Raises:
            DataError: both at once, another number of values than of classes, a value twice or unlabelled too.
        """
        if values is None:
            if reduce_zero_label:
                return cls(num_classes, ignore_index, tuple(range(1, num_classes + 1)), (0,))
            return cls(num_classes, ignore_index)
        if reduce_zero_label:
            raise DataError("--reduce-zero-label and --label-values exclude each other; give one of them")
        if len(set(values)) != len(values) or ignore_index in values:
            raise DataError(f"--label-values {_list(values)} has a value twice, or the one of --ignore-index")
        if len(values) != num_classes:
            raise DataError(
                f"--label-values {_list(values)} has {count(len(values), 'value')} for {num_classes} classes; "
                "expected one for each class, in the order of --classes"
            )
        return cls(num_classes, ignore_index, tuple(values))

    @property
    def unlabelled(self) -> int:
        """What unlabelled pixels become: 255 in uint8, or -1 in int32 above 255 classes."""
        return ignore_index_for(self.num_classes)

    @property
    def raw_unlabelled(self) -> tuple[int, ...]:
        """The values that are unlabelled in a file."""
        if self.ignore_index is not None:
            return (self.ignore_index, *self.void)
        usual = (255,) if self.unlabelled == 255 else (65535, -1)
        if self.values is not None:
            return (*(value for value in usual if value not in self.values), *self.void)
        return (255, self.num_classes) if self.unlabelled == 255 else (self.num_classes, *usual)

    @property
    def colour_value(self) -> int:
        """The value that pixels of a colour marked as unlabelled get: one of `raw_unlabelled`, or `VOID`."""
        return next((value for value in self.raw_unlabelled if 0 <= value < 65535), VOID)

    def value(self, label: int) -> int:
        """Return the value that class `label` has in the files."""
        return label if self.values is None else self.values[label]

    def apply(self, raw: NDArray[Any], path: Path) -> NDArray[Any]:
        """Return labels of a file's values.

        Args:
            raw: integer[H, W].
            path: the file, for the error.

        Returns:
            uint8[H, W] with 255 where unlabelled, or int32[H, W] with -1 above 255 classes.

        Raises:
            LabelError: a value that is neither a class nor unlabelled: which, in how many pixels.
        """
        labels: NDArray[Any] = np.empty(raw.shape, np.uint8 if self.unlabelled == 255 else np.int32)
        outside = np.concatenate([self._fill(labels[rows], raw[rows]) for rows in bands(raw.shape)])
        if outside.size:
            raise self._error(outside, path)
        return labels

    def _fill(self, labels: NDArray[Any], raw: NDArray[Any]) -> NDArray[Any]:
        """Write the labels of a file's values; return the values that have none."""
        unlabelled = np.zeros(raw.shape, np.bool_)
        for value in (*self.raw_unlabelled, *((VOID,) if raw.dtype.kind == "i" else ())):
            unlabelled |= raw == value
        found, outside = self._classes(raw)
        outside &= ~unlabelled
        np.copyto(labels, found, casting="unsafe")
        np.copyto(labels, self.unlabelled, where=unlabelled)
        return raw[outside]

    def _classes(self, raw: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the class of each pixel, and where there is none."""
        if self.values is None:
            above = raw >= self.num_classes
            return raw, above if raw.dtype.kind == "u" else above | (raw < 0)
        order = np.argsort(self.values)
        known = np.asarray(self.values)[order]
        places = np.searchsorted(known, raw).clip(max=len(known) - 1)
        return order[places], known[places] != raw

    def _error(self, values: NDArray[Any], path: Path) -> LabelError:
        found, counts = np.unique(values, return_counts=True)
        shown = ", ".join(f"{value} ({count} pixels)" for value, count in zip(found[:4], counts[:4], strict=True))
        more = f" and {len(found) - 4} more values" if len(found) > 4 else ""
        expected = f"0 to {self.num_classes - 1}" if self.values is None else _list(self.values)
        return LabelError(
            f"{path} has label {shown}{more}; expected {expected} for {self.num_classes} classes: {self._advice(found)}"
        )

    def _advice(self, found: NDArray[Any]) -> str:
        if self.values is None and found.tolist() == [255] and self.num_classes == 2:
            return "if 255 is a class, give --label-values 0,255"
        if self.values is None and found.tolist() == [self.num_classes] and self.ignore_index == 0:
            return "if the classes are numbered from 1 and 0 is unlabelled, give --reduce-zero-label"
        return (
            "name the missing classes, or give their values with --label-values, or set --ignore-index if such pixels "
            "are unlabelled"
        )


def _list(values: Sequence[int]) -> str:
    return ",".join(str(value) for value in values)
