"""Read and write the log of a search for layers: each line of the `StepLog` is a finished step with its counts.

Steps do not depend on the budget, so the log of one search serves a search with another budget or time limit too.
The counts of each image are what any budget is judged by. In text they would take megabytes a step for many images of
many classes, so they are packed.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fcn_deploy.errors import RecordError
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.metrics.scores import Counts
from fcn_deploy.quantization.search.images import PassResult
from fcn_deploy.system.serialization.decode import decode, parse_json
from fcn_deploy.system.serialization.step_log import StepLog

KIND, SCHEMA = "layer search", 2  # schema 1 had the sum of all images


class SearchStep(NamedTuple):
    """What was measured: "fp32"; "only" one layer in INT8; or all in INT8 with some "kept" in float."""

    kind: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Line:
    """One step in the file: labels `same` as the reference's of how many pixels; `miou` is for people alone.

    Attributes:
        overall, boundary: int64[I, C, C] in little-endian bytes, deflated, in base64.
    """

    step: str
    layers: tuple[str, ...]
    miou: object
    same: tuple[int, int]
    overall: str
    boundary: str
    seconds: float
    cpu_seconds: float


class SearchLog:
    """Steps by what they measured; `add` writes at once.

    Attributes:
        path: the file.
        found: how many steps it held when it was opened.
    """

    def __init__(self, path: Path, key: Mapping[str, Any], classes: int) -> None:
        """Open the log, or start one.

        Args:
            key: plain data that says which search this is.
            classes: C of the counts.

        Raises:
            RecordError: the file is no search log, is damaged, or that of another search (what differs).
            OutputError: it cannot be written.
        """
        self.path, self._classes = path, classes
        self._steps: dict[SearchStep, PassResult] = {}
        self._log = StepLog(path, KIND, "search log", "search", "--search-log", SCHEMA)
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
            overall=_packed(measured.overall),
            boundary=_packed(measured.boundary),
            seconds=round(measured.seconds, 3),
            cpu_seconds=round(measured.cpu_seconds, 3),
        )
        self._log.add(line)

    def _take(self, line: str, words: str) -> None:
        read = decode(_Line, parse_json(line, words, RecordError), words, RecordError)
        overall, boundary = (self._unpacked(text, words) for text in (read.overall, read.boundary))
        if overall.shape != boundary.shape or min(overall.min(initial=0), boundary.min(initial=0)) < 0:
            raise RecordError(f"{words}: its counts are of different images, or below 0")
        self._steps[SearchStep(read.step, read.layers)] = PassResult(
            overall, boundary, PixelShare(*read.same), read.seconds, read.cpu_seconds
        )

    def _unpacked(self, text: str, words: str) -> Counts:
        try:
            data = zlib.decompress(base64.b64decode(text, validate=True))
            counts = np.frombuffer(data, "<i8").reshape(-1, self._classes, self._classes)
        except (binascii.Error, zlib.error, ValueError) as error:
            raise RecordError(f"{words}: its counts cannot be read") from error
        return counts.astype(np.int64)


def _packed(counts: Counts) -> str:
    return base64.b64encode(zlib.compress(counts.astype("<i8").tobytes())).decode()
