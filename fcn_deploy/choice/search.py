"""Find the fastest candidate within the limits, cheapest information first.

1. Eight frames of every candidate; who surely exceeds a limit is out.
2. Ten rounds of the others, in turns: nearly nothing, and it says in which order to go on.
3. The fastest is scored on more and more frames. Once one passes on all, who is surely slower cannot win and is not
   scored any further; the next that is not is scored in the same way.
4. Those that passed race until one is ahead; then the winner and the reference are timed in turns.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from fcn_deploy.benchmark.baseline.significance import Ratio
from fcn_deploy.choice.bounds import Examiner, stages
from fcn_deploy.choice.candidates import Candidate
from fcn_deploy.choice.log import Times
from fcn_deploy.choice.race import FEW_ROUNDS, leader, median_ms, slowdown, surely_slower
from fcn_deploy.choice.scoring import FrameCounts
from fcn_deploy.choice.trials import Trials
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.system.interrupt import interrupts

REFERENCE_ROUNDS = 20
UNTRIED = "the time was up before it was judged"


@dataclass
class CandidateState:
    """What is known of a candidate so far; `dropped` says why it is out."""

    candidate: Candidate
    counts: FrameCounts | None = None
    dropped: str = ""
    passed: bool = False
    ms: float | None = None
    rounds: int = 0

    def timed(self, times: Times) -> None:
        found = times[self.candidate.name]
        self.ms, self.rounds = median_ms(found), self.rounds + len(found)


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

    def run(self, candidates: Sequence[Candidate]) -> CandidateState | None:
        """Return the winner; None if none passes."""
        self.tried = [CandidateState(candidate) for candidate in candidates]
        total = len(self.trials.frames)
        first = stages(total)[0]
        for trial in self.tried:
            self._look(trial, first)
        quick = self._quick([trial for trial in self.tried if not trial.dropped])
        for trial in sorted(self._alive(), key=lambda trial: trial.ms or 0.0):
            self._judge(trial, quick)
        passed = [trial for trial in self.tried if trial.passed and not trial.dropped]
        return self._fastest(passed) if passed else None

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
            trial.dropped = f"failed: {error}"
            return
        reference = self.trials.score(None, upto)
        trial.dropped = self.examiner.objection(reference, trial.counts)
        if trial.dropped:
            self.trials.progress.say(f"{trial.candidate.name}: {trial.dropped}")

    def _quick(self, trials: Sequence[CandidateState]) -> Times:
        """Time all of `trials` for a few rounds; drop who surely takes too long."""
        if not trials:
            return {}
        times = self.trials.race([trial.candidate for trial in trials], "few rounds", FEW_ROUNDS)
        for trial in trials:
            trial.timed(times)
            fastest = min(times[trial.candidate.name]) / 1e6
            if self.max_ms is not None and fastest > self.max_ms:
                trial.dropped = f"its fastest round took {fastest:.3g} ms; allowed {self.max_ms:g}"
        return times

    def _judge(self, trial: CandidateState, quick: Times) -> None:
        """Score a candidate on all frames, unless one that passed is surely faster."""
        ahead = [other.candidate.name for other in self.tried if other.passed]
        for name in ahead:
            ratio = slowdown(quick, trial.candidate.name, name)
            if surely_slower(ratio):
                trial.dropped = f"slower than {name}: {_times(ratio)} its time"
                return
        for upto in stages(self.frames)[1:] or (self.frames,):
            self._look(trial, upto)
            if trial.dropped:
                return
        trial.passed = True

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
                    trial.dropped = f"{sure} {first}: {_times(ratio)} its time"
            best = next(trial for trial in passed if trial.candidate.name == first)
        else:
            best = passed[0]
        times = self.trials.race([best.candidate], "reference", REFERENCE_ROUNDS)
        best.timed(times)
        self.over_reference = slowdown(times, self.trials.reference, best.candidate.name)
        if self.max_ms is not None and best.ms is not None and best.ms > self.max_ms:
            best.dropped = f"{best.ms:.3g} ms; allowed {self.max_ms:g}"
            return None
        return best

    def _late(self, trial: CandidateState) -> bool:
        if time.perf_counter() <= self.deadline:
            return False
        self.complete, trial.dropped = False, UNTRIED
        return True


def _times(ratio: Ratio) -> str:
    ends = "" if ratio.low is None or ratio.high is None else f" ({ratio.low:.2f} to {ratio.high:.2f})"
    return f"{ratio.value:.2f}{ends} times"
