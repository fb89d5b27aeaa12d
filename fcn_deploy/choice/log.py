"""Read and write the log of a choice: counts of frames and times of races, which the same command takes up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fcn_deploy.choice.scoring import FrameCounts
from fcn_deploy.errors import RecordError
from fcn_deploy.metrics.scores import Counts
from fcn_deploy.system.serialization.decode import Count, decode, parse_json
from fcn_deploy.system.serialization.step_log import StepLog

KIND = "choice"
SCHEMA = 2  # 1: candidates of other sizes were resized outside of their files
Matrices = tuple[tuple[tuple[int, ...], ...], ...]
Times = dict[str, list[int]]


@dataclass(frozen=True)
class _ChoiceLine:
    """One finished step: frames of a candidate from number `first` on, or the rounds of a race.

    Attributes:
        overall, boundary: [n, C, C] counts.
        nanoseconds: of the inference of each frame.
        times: nanoseconds of each round by candidate; {} for frames.
    """

    step: str
    first: int = 0
    overall: Matrices = ()
    boundary: Matrices = ()
    nanoseconds: tuple[Count, ...] = ()
    times: Mapping[str, tuple[Count, ...]] = field(default_factory=dict)


class ChoiceLog:
    """Finished steps by candidate and by race; `add_frames` and `add_times` write at once.

    Attributes:
        found: how many steps the file held when it was opened.
    """

    def __init__(self, path: Path, key: Mapping[str, Any], classes: int) -> None:
        """Open the log, or start one; errors as of `StepLog.open`."""
        self._classes = classes
        self._frames: dict[str, FrameCounts] = {}
        self._times: dict[str, Times] = {}
        self._log = StepLog(path, KIND, "choice log", "choice", "--work", SCHEMA)
        self._steps = 0
        self._log.open(key, self._take)
        self.found = self._steps

    @property
    def path(self) -> Path:
        return self._log.path

    def __len__(self) -> int:
        return self._steps

    def frames(self, candidate: str) -> FrameCounts:
        """Return what is known of a candidate: its first frames, perhaps none."""
        return self._frames.get(candidate) or FrameCounts.empty(self._classes)

    def add_frames(self, candidate: str, counts: FrameCounts) -> FrameCounts:
        """Remember and write the frames behind those that are known; return all of them."""
        line = _ChoiceLine(
            step=candidate,
            first=len(self.frames(candidate)),
            overall=counts.overall.tolist(),
            boundary=counts.boundary.tolist(),
            nanoseconds=tuple(counts.times.tolist()),
        )
        self._frames[candidate] = self.frames(candidate).then(counts)
        self._add(line)
        return self._frames[candidate]

    def times(self, race: str, names: Sequence[str]) -> Times | None:
        """Return nanoseconds of each round by candidate, which are `names`; None for a race that has not ended.

        Raises:
            RecordError: the log has times of others under that name: it was edited.
        """
        found = self._times.get(race)
        if found is not None and sorted(found) != sorted(names):
            raise RecordError(
                f"the step '{race}' of the choice log {self.path} has times of {', '.join(found)}; expected those of "
                f"{', '.join(names)}; remove the line, or the file to start again"
            )
        return found

    def add_times(self, race: str, times: Times) -> None:
        """Remember and write a race."""
        self._times[race] = times
        self._add(_ChoiceLine(step=race, times={name: tuple(found) for name, found in times.items()}))

    def _add(self, line: _ChoiceLine) -> None:
        self._steps += 1
        self._log.add(line)

    def _take(self, text: str, words: str) -> None:
        line = decode(_ChoiceLine, parse_json(text, words, RecordError), words, RecordError)
        self._steps += 1
        if line.times:
            if not all(line.times.values()):
                raise RecordError(f"{words}: a candidate has no times")
            self._times[line.step] = {name: list(found) for name, found in line.times.items()}
            return
        known = self.frames(line.step)
        overall, boundary = (self._counts(part, words) for part in (line.overall, line.boundary))
        if line.first != len(known) or not len(overall) == len(boundary) == len(line.nanoseconds):
            raise RecordError(f"{words}: it starts at frame {line.first}, expected {len(known)}")
        times = np.array(line.nanoseconds, np.int64)
        self._frames[line.step] = known.then(FrameCounts(overall, boundary, times))

    def _counts(self, raw: Sequence[Sequence[Sequence[int]]], words: str) -> Counts:
        try:
            found = np.array(raw, np.int64)
        except (ValueError, OverflowError):
            found = np.zeros(0, np.int64)
        if found.shape[1:] != (self._classes, self._classes):
            raise RecordError(f"{words}: expected a {self._classes}x{self._classes} matrix for each frame")
        if found.min(initial=0) < 0:
            raise RecordError(f"{words}: it counts {found.min()} pixels")
        return found
