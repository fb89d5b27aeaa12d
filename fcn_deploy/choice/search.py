"""Find the fastest candidate within the limits, cheapest information first.

1. Eight frames of every candidate; who surely exceeds a limit is out. The same inferences say how long each takes.
2. The fastest is scored on more and more frames. Once one passes on all, who took three times as long is out.
3. Ten rounds of the others and the one that passed, in turns: who is surely slower cannot win and is not scored any
   further; the next that is not is scored as in 2.
4. Those that passed race until one is ahead; then the winner and the reference are timed in turns.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.benchmark.baseline.significance import Ratio
from fcn_deploy.choice.bounds import FIRST, Examiner, stages
from fcn_deploy.choice.candidates import Candidate
from fcn_deploy.choice.log import Times
from fcn_deploy.choice.race import FEW_ROUNDS, leader, median_ms, slowdown, surely_slower
from fcn_deploy.choice.scoring import FrameCounts
from fcn_deploy.choice.trials import Trials
from fcn_deploy.errors import FcnDeployError, RunnerError
from fcn_deploy.system.interrupt import interrupts

REFERENCE_ROUNDS = 12
# The first inferences of a runner allocate and tune.
UNSTEADY = 2
FEWEST = 4
FAR = 3.0
FAILED = "failed"
UNTRIED = "the time was up before it was judged"


@dataclass
class CandidateState:
    """What is known of a candidate so far; `dropped` says why it is out, `rounds` how many its races had."""

    candidate: Candidate
    counts: FrameCounts | None = None
    dropped: str = ""
    ms: float | None = None
    rounds: int = 0
    outcome: str = ""

    def drop(self, outcome: str, reason: str) -> None:
        """Put the candidate out: a word or two for a table, and a sentence."""
        self.outcome, self.dropped = outcome, reason

    def timed(self, times: Times) -> None:
        found = times[self.candidate.name]
        self.ms, self.rounds = median_ms(found), self.rounds + len(found)

    def first_times(self) -> NDArray[np.int64]:
        """Return nanoseconds of the first frames; of few frames all, else without those that a runner starts with."""
        times = np.zeros(0, np.int64) if self.counts is None else self.counts.times[:FIRST]
        return times[UNSTEADY:] if len(times) >= UNSTEADY + FEWEST else times

    def is_far_behind(self, other: CandidateState) -> bool:
        """Whether its fastest of the first frames took more than three times as long as the other's.

        What else a machine does only adds to times, so the fastest moves least.
        """
        own, its = self.first_times(), other.first_times()
        return len(own) >= FEWEST and bool(own.min() > FAR * its.min())


@dataclass
class Search:
    """One search.

    Attributes:
        max_ms: milliseconds that the median may take; None sets no limit.
        deadline: of `time.perf_counter`; no step starts later.
        complete: whether the deadline left nothing out.
    """

    trials: Trials
    examiner: Examiner
    max_ms: float | None
    deadline: float
    complete: bool = True
    tried: list[CandidateState] = field(default_factory=list)
    over_reference: Ratio | None = None
    _passed: list[CandidateState] = field(default_factory=list)
    _near: Times = field(default_factory=dict)

    def run(self, candidates: Sequence[Candidate]) -> CandidateState | None:
        """Return the winner; None if none passes.

        Raises:
            RunnerError: no candidate runs.
            FcnDeployError: the reference does not.
        """
        self.tried = [CandidateState(candidate) for candidate in candidates]
        total = len(self.trials.frames)
        first = stages(total)[0]
        if time.perf_counter() < self.deadline:
            self.trials.score(None, first)  # without it nothing can be judged
        for trial in self.tried:
            self._first_look(trial, first)
        if self.tried and all(trial.outcome == FAILED for trial in self.tried):
            trial = self.tried[0]
            others = f" (nor do the {len(self.tried) - 1} others)" if len(self.tried) > 1 else ""
            raise RunnerError(f"{trial.candidate.name} does not run{others}: {trial.dropped}")
        for trial in sorted(self._alive(), key=lambda trial: trial.ms or 0.0):
            self._judge(trial)
        return self._fastest(self._passed) if self._passed else None

    @property
    def frames(self) -> int:
        return len(self.trials.frames)

    def _alive(self) -> list[CandidateState]:
        return [trial for trial in self.tried if not trial.dropped]

    def _look(self, trial: CandidateState, upto: int) -> None:
        """Score the first `upto` frames, and drop the candidate if it surely exceeds a limit."""
        if self._late(trial):
            return
        try:
            trial.counts = self.trials.score(trial.candidate, upto)
        except FcnDeployError as error:
            trial.drop(FAILED, f"failed: {error}")
            return
        objection = self.examiner.objection(self.trials.score(None, upto), trial.counts)
        if objection:
            trial.drop("loses too much", objection)
            self.trials.progress.say(f"{trial.candidate.name}: {trial.dropped}")

    def _first_look(self, trial: CandidateState, upto: int) -> None:
        """Score the first frames, and drop the candidate too if even its fastest inference takes too long."""
        self._look(trial, upto)
        times = trial.first_times()
        if not len(times):
            return
        trial.ms, fastest = float(np.median(times)) / 1e6, float(times.min()) / 1e6
        if not trial.dropped and self.max_ms is not None and fastest > self.max_ms:
            trial.drop("too slow", f"its fastest frame took {fastest:.3g} ms; allowed {self.max_ms:g}")

    def _in_turns(self) -> Times:
        """Time the first that passed and all that are not far behind it for a few rounds, once."""
        if not self._near:
            first = self._passed[0]
            near = [first, *(trial for trial in self._alive() if trial is not first and not trial.is_far_behind(first))]
            self._near = self.trials.race([trial.candidate for trial in near], "few rounds", FEW_ROUNDS)
            for trial in near:
                trial.timed(self._near)
        return self._near

    def _judge(self, trial: CandidateState) -> None:
        """Score a candidate on all frames, unless one that passed is surely faster."""
        for other in self._passed:
            if trial.is_far_behind(other):
                ratio = float(trial.first_times().min() / other.first_times().min())
                name = other.candidate.name
                trial.drop(_slower(ratio), f"slower than {name}: {ratio:.1f} times its time on the first frames")
                return
        for other in self._passed:
            found = slowdown(self._in_turns(), trial.candidate.name, other.candidate.name)
            if surely_slower(found):
                trial.drop(_slower(found.value), f"slower than {other.candidate.name}: {_times(found)} its time")
                return
        for upto in stages(self.frames)[1:] or (self.frames,):
            self._look(trial, upto)
            if trial.dropped:
                return
        self._passed.append(trial)

    def _fastest(self, passed: Sequence[CandidateState]) -> CandidateState | None:
        """Race those that passed, then the winner against the reference."""
        with interrupts() as check:
            check()
        if len(passed) > 1:
            times = self.trials.race([trial.candidate for trial in passed], "race")
            for trial in passed:
                trial.timed(times)
            first = leader(times)
            for trial in passed:
                ratio = slowdown(times, trial.candidate.name, first)
                if trial.candidate.name != first:
                    sure = "slower than" if surely_slower(ratio) else "not surely slower than, but behind,"
                    trial.drop(_slower(ratio.value), f"{sure} {first}: {_times(ratio)} its time")
            best = next(trial for trial in passed if trial.candidate.name == first)
        else:
            best = passed[0]
        times = self.trials.race([best.candidate], "reference", REFERENCE_ROUNDS)
        best.timed(times)
        self.over_reference = slowdown(times, self.trials.reference, best.candidate.name)
        if self.max_ms is not None and best.ms is not None and best.ms > self.max_ms:
            best.drop("too slow", f"{best.ms:.3g} ms; allowed {self.max_ms:g}")
            return None
        best.outcome = "shipped"
        return best

    def _late(self, trial: CandidateState) -> bool:
        if time.perf_counter() <= self.deadline:
            return False
        self.complete = False
        trial.drop("not judged", UNTRIED)
        return True


def _times(ratio: Ratio) -> str:
    ends = "" if ratio.low is None or ratio.high is None else f" ({ratio.low:.2f} to {ratio.high:.2f})"
    return f"{ratio.value:.2f}{ends} times"


def _slower(ratio: float) -> str:
    return f"{ratio:.1f} x the time" if ratio >= 1.1 else f"{ratio:.2f} x the time"
