"""Decide which label values mean a class and which mean unlabelled.

An explicit ignore index wins: that value alone is unlabelled. Otherwise 255 is, and so is C, one past the last
class (SegNet's CamVid convention). Above 255 classes, where 255 is a class, it is C, 65535 and -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ignore_index_for
from fcn_deploy.errors import LabelError

# What a colour marked as unlabelled becomes where the rule's own values cannot stand in a decoded map: no file's value.
VOID = -(1 << 31)


@dataclass(frozen=True)
class LabelRule:
    """Turns a file's label values into training labels.

    Attributes:
        num_classes: C.
        ignore_index: the one value that is unlabelled; None for the rule in the module's docstring.
    """

    num_classes: int
    ignore_index: int | None = None

    @property
    def unlabelled(self) -> int:
        """What unlabelled pixels become: 255 in uint8, or -1 in int32 above 255 classes."""
        return ignore_index_for(self.num_classes)

    @property
    def raw_unlabelled(self) -> tuple[int, ...]:
        """The values that are unlabelled in a file."""
        if self.ignore_index is not None:
            return (self.ignore_index,)
        return (255, self.num_classes) if self.unlabelled == 255 else (self.num_classes, 65535, -1)

    @property
    def colour_value(self) -> int:
        """The value that pixels of a colour marked as unlabelled get: one of `raw_unlabelled`, or `VOID`."""
        first = self.raw_unlabelled[0]
        return first if 0 <= first < 65535 else VOID

    def describe(self) -> str:
        """Return the rule in one line, for a person."""
        values = " and ".join(str(value) for value in dict.fromkeys(self.raw_unlabelled))
        return (
            f"label {values} counts as unlabelled"
            if self.ignore_index is not None
            else (f"labels {values} count as unlabelled; set the ignore index if they do not")
        )

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
        unlabelled = raw == self.raw_unlabelled[0]
        for value in (*self.raw_unlabelled[1:], *((VOID,) if raw.dtype.kind == "i" else ())):
            unlabelled |= raw == value
        outside = raw >= self.num_classes if raw.dtype.kind == "u" else (raw >= self.num_classes) | (raw < 0)
        outside &= ~unlabelled
        if outside.any():
            raise self._error(raw[outside], path)
        labels: NDArray[Any] = raw.astype(np.uint8 if self.unlabelled == 255 else np.int32)
        np.copyto(labels, self.unlabelled, where=unlabelled)
        return labels

    def _error(self, values: NDArray[Any], path: Path) -> LabelError:
        found, counts = np.unique(values, return_counts=True)
        shown = ", ".join(f"{value} ({count} pixels)" for value, count in zip(found[:4], counts[:4], strict=True))
        more = f" and {len(found) - 4} more values" if len(found) > 4 else ""
        return LabelError(
            f"{path} has label {shown}{more}; expected 0 to {self.num_classes - 1} for {self.num_classes} classes: "
            f"name the missing classes, or set the ignore index if such pixels are unlabelled"
        )
