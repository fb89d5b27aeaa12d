"""Measure candidates: open their runners, score frames, run races, and remember each finished step in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from fcn_deploy.benchmark.images import IMAGES, Image
from fcn_deploy.choice.candidates import Candidate
from fcn_deploy.choice.files import CandidateFiles
from fcn_deploy.choice.frames import LabelledFrames
from fcn_deploy.choice.log import ChoiceLog, Times
from fcn_deploy.choice.race import race, time_in_turns
from fcn_deploy.choice.scoring import FrameCounts, score_frames
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import device_of
from fcn_deploy.sources.lanes import USUAL_LANES
from fcn_deploy.system.progress import Progress


@dataclass(frozen=True)
class Trials:
    """Everything that a step needs.

    Attributes:
        open_reference: opens the runner that candidates are compared with, with so many threads.
    """

    files: CandidateFiles
    frames: LabelledFrames
    log: ChoiceLog
    reference: str
    open_reference: Callable[[ExitStack, int], Runner]
    threads: int
    radius: int
    progress: Progress

    def score(self, candidate: Candidate | None, upto: int) -> FrameCounts:
        """Return the counts of the first `upto` frames, None being the reference; what the log lacks is run.

        Raises:
            FcnDeployError: the file cannot be made, or its runner not opened, or it fails.
        """
        name = self.reference if candidate is None else candidate.name
        known = self.log.frames(name)
        if len(known) >= upto:
            return known.first(upto)
        title = f"{name}: frames {len(known) + 1} to {upto} of {len(self.frames)}"
        with ExitStack() as stack:
            runners = self._lanes(stack) if candidate is None else [self.open(candidate, stack)]
            samples = self.frames.part(len(known), upto)
            found = score_frames(runners, self.frames, samples, self.radius, title, self.progress)
        return self.log.add_frames(name, found)

    def race(self, candidates: Sequence[Candidate], kind: str, rounds: int | None = None) -> Times:
        """Time candidates in turns: so many rounds each, or by `race` without a number.

        Args:
            kind: names the step in the log; "final" has the reference in it too.
        """
        names = [candidate.name for candidate in candidates]
        step = f"{kind}: {', '.join(names)}"
        known = self.log.times(step, [self.reference, *names] if kind == "reference" else names)
        if known is not None:
            return known
        with ExitStack() as stack:
            runners = {candidate.name: self.open(candidate, stack) for candidate in candidates}
            if kind == "reference":
                runners = {self.reference: self.open(None, stack), **runners}
            batches = self.batches()
            if rounds is None:
                times = race(runners, batches, self.progress)
            else:
                times = time_in_turns(runners, batches, rounds, self.progress)
        self.log.add_times(step, times)
        return times

    def batches(self) -> list[Image]:
        """Return uint8[1, H, W, 3] images to time with."""
        return [np.asarray(sample.image[None]) for sample in self.frames.part(0, min(IMAGES, len(self.frames)))]

    def open(self, candidate: Candidate | None, stack: ExitStack) -> Runner:
        """Open a candidate, None being the reference; `stack` closes it."""
        if candidate is None:
            return self.open_reference(stack, self.threads)
        return stack.enter_context(self.files.open(candidate, threads=self.threads))

    def _lanes(self, stack: ExitStack) -> list[Runner]:
        """Open the reference to be scored and not timed: two inferences of half the threads do more than one of all."""
        first = self.open_reference(stack, max(1, self.threads // USUAL_LANES))
        clone = first.clone() if self.threads >= USUAL_LANES and device_of(self.reference) == "cpu" else None
        return [first] if clone is None else [first, stack.enter_context(clone)]
