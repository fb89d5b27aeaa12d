"""Read and write the log of a search for layers: each line of the `StepLog` is a finished step with its counts.

Steps do not depend on the budget, so the log of one search serves a search with another budget or time limit too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from fcn_deploy.errors import RecordError
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.quantization.search.images import PassResult
from fcn_deploy.system.decode import ExpectedError, decode, parse_json
from fcn_deploy.system.step_log import StepLog

KIND = "layer search"


class SearchStep(NamedTuple):
    """What was measured: "fp32"; "only" one layer in INT8; or all in INT8 with some "kept" in float."""

    kind: str
    layers: tuple[str, ...] = ()


def _square(counts: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    if not counts or {len(row) for row in counts} != {len(counts)}:
        raise ExpectedError("a square matrix")
    return counts


@dataclass(frozen=True)
class _Line:
    """One step in the file: labels `same` as the reference's of how many pixels; `miou` is for people alone."""

    step: str
    layers: tuple[str, ...]
    miou: object
    same: tuple[int, int]
    counts: Annotated[tuple[tuple[int, ...], ...], _square]
    seconds: float
    cpu_seconds: float


class SearchLog:
    """Steps by what they measured; `add` writes at once.

    Attributes:
        path: the file.
        found: how many steps it held when it was opened.
    """

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        """Open the log, or start one.

        Args:
            key: plain data that says which search this is.

        Raises:
            RecordError: the file is no search log, is damaged, or that of another search (what differs).
            OutputError: it cannot be written.
        """
        self.path = path
        self._steps: dict[SearchStep, PassResult] = {}
        self._log = StepLog(path, KIND, "search log", "search", "--search-log")
        self._log.open(key, self._take)
        self.found = len(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def get(self, step: SearchStep) -> PassResult | None:
        return self._steps.get(step)

    def add(self, step: SearchStep, measured: PassResult) -> None:
        """Remember and write one finished step; OutputError if it cannot be written."""
        self._steps[step] = measured
        line = _Line(
            step=step.kind,
            layers=step.layers,
            miou=round(measured.mean_iou, 4),
            same=(measured.same.agreed, measured.same.pixels),
            counts=measured.counts.tolist(),
            seconds=round(measured.seconds, 3),
            cpu_seconds=round(measured.cpu_seconds, 3),
        )
        self._log.add(line)

    def _take(self, line: str, words: str) -> None:
        step, measured = _parse(line, words)
        self._steps[step] = measured


def _parse(line: str, source: str) -> tuple[SearchStep, PassResult]:
    read = decode(_Line, parse_json(line, source, RecordError), source, RecordError)
    counts = np.array(read.counts, np.int64)
    return SearchStep(read.step, read.layers), PassResult(
        counts, PixelShare(*read.same), read.seconds, read.cpu_seconds
    )
