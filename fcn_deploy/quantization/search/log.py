"""Read and write the log of a search: one JSON object per line, so that a stopped search can be resumed.

The first line says which search it is; each other line is a finished step with its counts. Steps do not depend on the
budget, so the log of one search serves a search with another budget or time limit too. A line that a kill cut short is
dropped and its step done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from fcn_deploy.errors import RecordError
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.quantization.search.images import PassResult
from fcn_deploy.system.decode import ExpectedError, decode, is_schema, parse_json
from fcn_deploy.system.files import check_writable, output_error, write_text
from fcn_deploy.system.plain import plain

SCHEMA, KIND = 1, "layer search"


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
        check_writable(path)
        if path.is_file() and path.stat().st_size:
            self._read(key)
        else:
            write_text(path, json.dumps({"schema": SCHEMA, "kind": KIND, "key": key}) + "\n")
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
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(plain(line)) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise output_error(self.path, error) from error

    def _read(self, key: Mapping[str, Any]) -> None:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.decode(errors="replace").splitlines()
        self._check_header(lines[0] if lines else "", key)
        for number, line in enumerate(lines[1:], start=2):
            try:
                step, measured = _parse(line, f"line {number} of the search log {self.path} is damaged")
            except RecordError as error:
                raise RecordError(f"{error}; remove the line, or the file to start again") from error
            self._steps[step] = measured
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))

    def _check_header(self, line: str, key: Mapping[str, Any]) -> None:
        try:
            header = json.loads(line)
        except ValueError:
            header = None
        if not isinstance(header, dict) or header.get("kind") != KIND or not isinstance(header.get("key"), dict):
            raise RecordError(f"{self.path} is no search log; name another file (--search-log)")
        if not is_schema(header.get("schema"), SCHEMA):
            raise RecordError(f"{self.path} has schema {header.get('schema')}; this version reads schema {SCHEMA}")
        wanted = plain(key)
        different = [name for name in sorted({*wanted, *header["key"]}) if wanted.get(name) != header["key"].get(name)]
        if different:
            pairs = (
                f"{name} ({_short(header['key'].get(name))}, now {_short(wanted.get(name))})" for name in different
            )
            raise RecordError(
                f"{self.path} is the log of another search: it differs in {', '.join(pairs)}; name another file "
                "(--search-log) or remove this one"
            )


def _parse(line: str, source: str) -> tuple[SearchStep, PassResult]:
    read = decode(_Line, parse_json(line, source, RecordError), source, RecordError)
    counts = np.array(read.counts, np.int64)
    return SearchStep(read.step, read.layers), PassResult(
        counts, PixelShare(*read.same), read.seconds, read.cpu_seconds
    )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 24 else f"{text[:12]}..."
