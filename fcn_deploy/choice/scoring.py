"""Run a candidate over frames and count its labels frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.choice.frames import LabelledFrames, required_label
from fcn_deploy.data.sample import Sample
from fcn_deploy.metrics.boundary import Evaluation
from fcn_deploy.metrics.scores import Counts
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.checks.labels import check_labels
from fcn_deploy.system.progress import Progress, track
from fcn_deploy.vocabulary import INPUT, LABELS


@dataclass(frozen=True)
class FrameCounts:
    """Counts of the first frames; row = true class, column = label.

    Attributes:
        overall, boundary: int64[n, C, C] of every labelled pixel, and of those near a label change.
        times: int64[n] nanoseconds of each inference.
    """

    overall: Counts
    boundary: Counts
    times: NDArray[np.int64]

    @classmethod
    def empty(cls, classes: int) -> FrameCounts:
        none = np.zeros((0, classes, classes), np.int64)
        return cls(none, none, np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.overall)

    def then(self, more: FrameCounts) -> FrameCounts:
        """Return these frames and `more` behind them."""
        return FrameCounts(
            np.concatenate([self.overall, more.overall]),
            np.concatenate([self.boundary, more.boundary]),
            np.concatenate([self.times, more.times]),
        )

    def first(self, count: int) -> FrameCounts:
        """Return the first `count` frames."""
        return FrameCounts(self.overall[:count], self.boundary[:count], self.times[:count])


def score_frames(
    runners: Sequence[Runner],
    frames: LabelledFrames,
    samples: Sequence[Sample],
    radius: int,
    title: str,
    progress: Progress,
) -> FrameCounts:
    """Run every sample and count its labels.

    Args:
        runners: one, whose times are those of a runner alone, or several over one model's weights, run at once.

    Raises:
        RunnerError: a runner fails, or gives a label that is not a class.
    """
    one = partial(_score, frames=frames, radius=radius)
    found = list(track(progress, title, _in_turn(one, runners, samples), len(samples)))
    overall, boundary, times = zip(*found, strict=True)
    return FrameCounts(np.stack(overall), np.stack(boundary), np.array(times, np.int64))


_Scored = tuple[Counts, Counts, int]


def _in_turn(
    one: Callable[[Runner, Sample], _Scored], runners: Sequence[Runner], samples: Sequence[Sample]
) -> Iterator[_Scored]:
    if len(runners) == 1:
        yield from (one(runners[0], sample) for sample in samples)
        return
    with ThreadPoolExecutor(len(runners)) as pool:
        for first in range(0, len(samples), len(runners)):
            yield from pool.map(one, runners, samples[first : first + len(runners)])


def _score(runner: Runner, sample: Sample, *, frames: LabelledFrames, radius: int) -> _Scored:
    started = time.perf_counter_ns()
    labels = runner.infer({INPUT: sample.image[None]})[LABELS]
    taken = time.perf_counter_ns() - started
    check_labels(runner.name, labels, len(frames.classes))
    found = Evaluation(len(frames.classes), frames.ignore_index, radius)
    found.update(required_label(sample)[None], sample.counted(labels))
    return found.overall, found.boundary, taken
