"""Define a slip: what a program may do wrong between an image file and its label map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.diagnosis.constants import Normalisation

Bytes = NDArray[np.uint8]  # [H, W, 3]
Labels = NDArray[Any]  # integer[H, W]
ValueStep = Callable[[NDArray[np.float32], Normalisation], NDArray[Any]]
LabelStep = Callable[[Labels], Labels]
ScoreStep = Callable[[NDArray[Any]], NDArray[Any]]
# Of predictions and the label maps that they should equal: what was found, in words, and the step; None for nothing.
Fit = Callable[[Sequence[Labels], Sequence[Labels]], tuple[str, LabelStep] | None]

# In the order in which a program does them; two slips of one kind are never tried together.
KINDS = ("file", "geometry", "jpeg", "size", "channels", "values", "network", "scores", "ids", "place", "writing")


@dataclass(frozen=True)
class ForeignFrame:
    """One image and the label map that another program made of it.

    Attributes:
        image: uint8[H, W, 3] RGB, upright; raw: the same as it is stored, None where it is stored upright.
        labels: integer[h, w], as they are in the file.
    """

    name: str
    image: Bytes
    raw: Bytes | None
    labels: Labels


@dataclass(frozen=True)
class Slip:
    """One mistake; exactly one of the steps is given.

    Attributes:
        name, fix: what was done, and the sentence that says what to do instead.
        kind: one of `KINDS`.
        image: from the image to the image that is used instead.
        stored: the image is used as it is stored in the file.
        values: from RGB float32[H, W, 3] in 0..255 and the right normalisation to what the network gets.
        saturated: the network's activations hold no more than on right images, as in an INT8 file.
        network: name of the file that is run instead.
        scores: from logits float32[C, H, W] to scores [K, h, w], over whose first axis the program takes the arg max.
        labels: from labels to labels.
        undo: from the map that was written to the one that should have been.
        fit: finds a step from labels to labels.
        variant_of: name of the slip that it is in another kind of file; empty for the slip itself.
        along_side: a side of the map is the number of classes then, so its shape shows the slip.
    """

    name: str
    fix: str
    kind: str
    image: Callable[[Bytes], Bytes] | None = None
    stored: bool = False
    values: ValueStep | None = None
    saturated: bool = False
    network: str | None = None
    scores: ScoreStep | None = None
    labels: LabelStep | None = None
    undo: LabelStep | None = None
    fit: Fit | None = None
    along_side: bool = False
    variant_of: str = ""

    @property
    def of_input(self) -> bool:
        """Whether the network has to run again for it."""
        return self.kind not in ("scores", "ids", "place", "writing")
