"""Hold the times of a measurement as arrays, round by round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.vocabulary import Shape

STEPS = ("upload", "compute", "download")
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """Times of some rounds.

    Attributes:
        steps: float64[3, rounds], nanoseconds of upload, compute and download; or shares of another runner's time.
        shapes: N, H, W of each round.
    """

    steps: Values
    shapes: tuple[Shape, ...]

    @property
    def total(self) -> Values:
        """float64[rounds]: upload + compute + download."""
        return np.asarray(self.steps.sum(axis=0))

    @property
    def total_ms(self) -> Values:
        return self.total / 1e6

    @property
    def shape_index(self) -> list[int]:
        """Number the shape of each round."""
        numbers = {shape: number for number, shape in enumerate(dict.fromkeys(self.shapes))}
        return [numbers[shape] for shape in self.shapes]

    def only(self, shapes: set[Shape]) -> Series:
        """Return the rounds of these shapes."""
        keep = np.array([shape in shapes for shape in self.shapes], bool)
        return Series(self.steps[:, keep], tuple(shape for shape in self.shapes if shape in shapes))

    def over(self, other: Series) -> Series:
        """Return each round's steps as shares of the time of `other` in that round, as many rounds as both have."""
        rounds = min(len(self.shapes), len(other.shapes))
        return Series(self.steps[:, :rounds] / other.total[:rounds], self.shapes[:rounds])


def series(record: Record, measurement: Measurement) -> Series | None:
    """Return the times of a measurement of `record`; None if it was not timed."""
    latency = measurement.latency
    if latency is None:
        return None
    steps = np.array(latency.steps, np.float64)
    own = tuple(record.shapes[index] for index in record.rounds)
    shapes = own if measurement.shape is None else (measurement.shape,) * steps.shape[1]
    return Series(steps, shapes) if shapes else None


def reference_series(record: Record, shape: Shape | None) -> Series | None:
    """Return the times of the reference's row on images of `shape`; None if it was not timed there."""
    reference = record.reference_at(shape)
    return None if reference is None else series(record, reference)
