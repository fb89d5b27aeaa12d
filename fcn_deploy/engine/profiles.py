"""Optimization profiles: the ranges of N, H and W that an engine is built for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fcn_deploy.errors import EngineError

Shape = tuple[int, int, int]
LARGEST = 2**31 - 1  # of a dim of a TensorRT tensor


@dataclass(frozen=True)
class Profile:
    """Smallest, most usual and largest image batch of one optimization profile, as (N, H, W).

    Raises:
        EngineError: a number below 1 or above `LARGEST`, or min <= opt <= max does not hold in one of them. The builder
            itself takes zeros without a word and tells the others late.
    """

    min: Shape
    opt: Shape
    max: Shape

    def __post_init__(self) -> None:
        for word, shape in (("min", self.min), ("opt", self.opt), ("max", self.max)):
            if any(number < 1 for number in shape):
                raise EngineError(f"profile {self}: {word} {shape_text(shape)} holds a number below 1")
            if any(number > LARGEST for number in shape):
                raise EngineError(f"profile {self}: {word} {shape_text(shape)} holds a number above {LARGEST}")
        for index, axis in enumerate("NHW"):
            low, usual, high = self.min[index], self.opt[index], self.max[index]
            if not low <= usual <= high:
                raise EngineError(
                    f"profile {self}: {axis} goes from {low} over {usual} to {high}; needed is min <= opt <= max"
                )

    def holds(self, shape: Shape) -> bool:
        """Whether an image batch of (N, H, W) may run under this profile."""
        return all(low <= number <= high for low, number, high in zip(self.min, shape, self.max, strict=True))

    def __str__(self) -> str:
        return " .. ".join(shape_text(shape) for shape in (self.min, self.opt, self.max))


def parse_shape(text: str) -> Shape:
    """ "1x360x480" -> (1, 360, 480).

    Raises:
        EngineError: not three whole numbers with x between.
    """
    match = re.fullmatch(r"(\d+)x(\d+)x(\d+)", text.strip().lower())
    if match is None:
        raise EngineError(f"'{text}' is not a shape; write NxHxW, as in 1x360x480")
    return int(match[1]), int(match[2]), int(match[3])


def shape_text(shape: Sequence[int]) -> str:
    """(1, 360, 480) -> "1x360x480"."""
    return "x".join(map(str, shape))
