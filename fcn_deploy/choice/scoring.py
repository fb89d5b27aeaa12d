"""Run a candidate over frames and count its labels frame by frame."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fcn_deploy.choice.frames import LabelledFrames, required_label
from fcn_deploy.data.sample import Sample
from fcn_deploy.metrics.boundary import Evaluation
from fcn_deploy.metrics.scores import Counts
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.label_checks import check_labels
from fcn_deploy.system.progress import Progress, track
from fcn_deploy.vocabulary import INPUT, LABELS


@dataclass(frozen=True)
class FrameCounts:
    """Counts of the first frames; row = true class, column = label.

    Attributes:
        overall, boundary: int64[n, C, C] of every labelled pixel, and of those near a label change.
        seconds: wall time of the inferences.
    """

    overall: Counts
    boundary: Counts
    seconds: float = 0.0

    @classmethod
    def empty(cls, classes: int) -> FrameCounts:
        none = np.zeros((0, classes, classes), np.int64)
        return cls(none, none)

    def __len__(self) -> int:
        return len(self.overall)

    def then(self, more: FrameCounts) -> FrameCounts:
        """Return these frames and `more` behind them."""
        return FrameCounts(
            np.concatenate([self.overall, more.overall]),
            np.concatenate([self.boundary, more.boundary]),
            self.seconds + more.seconds,
        )

    def first(self, count: int) -> FrameCounts:
        """Return the first `count` frames."""
        return FrameCounts(self.overall[:count], self.boundary[:count], self.seconds)


def score_frames(
    runner: Runner, frames: LabelledFrames, samples: Sequence[Sample], radius: int, title: str, progress: Progress
) -> FrameCounts:
    """Run every sample and count its labels.

    Raises:
        RunnerError: the runner fails, or gives a label that is not a class.
    """
    size = len(frames.classes)
    overall, boundary, seconds = list[Counts](), list[Counts](), 0.0
    for sample in track(progress, title, samples, len(samples)):
        started = time.perf_counter()
        labels = runner.infer({INPUT: sample.image[None]})[LABELS]
        seconds += time.perf_counter() - started
        check_labels(runner.name, labels, size)
        found = Evaluation(size, frames.ignore_index, radius)
        found.update(required_label(sample)[None], sample.counted(labels))
        overall.append(found.overall)
        boundary.append(found.boundary)
    return FrameCounts(np.stack(overall), np.stack(boundary), seconds)
