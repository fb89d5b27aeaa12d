"""The log of a search: one JSON object a line, so that a search that was stopped goes on where it was.

The first line says which search it is; each other line is a finished step with its counts. Steps do not depend on the
budget, so the log of one search serves a search with another budget or time limit too. A line that a kill cut short is
dropped and its step done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fcn_deploy.errors import RecordError
from fcn_deploy.metrics.agreement import Share
from fcn_deploy.quantization.search.images import Measured
from fcn_deploy.system.files import check_writable, output_error, write_text

SCHEMA, KIND = 1, "layer search"


class Step(NamedTuple):
    """What was measured: "fp32"; "only" one layer in INT8; or all in INT8 with some "kept" in float."""

    kind: str
    layers: tuple[str, ...] = ()


class SearchLog:
    """Steps by what they measured; `add` writes at once.

    Attributes:
        path: the file.
        found: how many steps it held when it was opened.
    """

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        """Open the log, or begin one.

        Args:
            key: plain data that says which search this is.

        Raises:
            RecordError: the file is no search log, is damaged, or that of another search (what differs).
            OutputError: it cannot be written.
        """
        self.path = path
        self._steps: dict[Step, Measured] = {}
        check_writable(path)
        if path.is_file() and path.stat().st_size:
            self._read(key)
        else:
            write_text(path, json.dumps({"schema": SCHEMA, "kind": KIND, "key": key}) + "\n")
        self.found = len(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def get(self, step: Step) -> Measured | None:
        return self._steps.get(step)

    def add(self, step: Step, measured: Measured) -> None:
        """Remember and write one finished step; OutputError if it cannot be written."""
        self._steps[step] = measured
        plain = {
            "step": step.kind,
            "layers": step.layers,
            "miou": round(measured.mean_iou, 4),
            "same": [measured.same.agreed, measured.same.pixels],
            "counts": measured.counts.tolist(),
            "seconds": round(measured.seconds, 3),
            "cpu_seconds": round(measured.cpu_seconds, 3),
        }
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(plain) + "\n")
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
                step, measured = _parse(line)
            except (ValueError, KeyError, TypeError) as error:
                raise RecordError(
                    f"line {number} of the search log {self.path} is damaged; remove it, or the file to begin anew"
                ) from error
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
        if header.get("schema") != SCHEMA:
            raise RecordError(f"{self.path} has schema {header.get('schema')}; this version reads schema {SCHEMA}")
        wanted = json.loads(json.dumps(key))
        different = [name for name in sorted({*wanted, *header["key"]}) if wanted.get(name) != header["key"].get(name)]
        if different:
            pairs = (
                f"{name} ({_short(header['key'].get(name))}, now {_short(wanted.get(name))})" for name in different
            )
            raise RecordError(
                f"{self.path} is the log of another search: it differs in {', '.join(pairs)}; name another file "
                "(--search-log) or remove this one"
            )


def _parse(line: str) -> tuple[Step, Measured]:
    raw = json.loads(line)
    counts = np.array(raw["counts"], np.int64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not isinstance(raw["step"], str):
        raise ValueError("not a square of counts")
    agreed, pixels = raw["same"]
    step = Step(raw["step"], tuple(map(str, raw["layers"])))
    seconds, cpu_seconds = float(raw["seconds"]), float(raw["cpu_seconds"])
    return step, Measured(counts, Share(int(agreed), int(pixels)), seconds, cpu_seconds)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 24 else f"{text[:12]}..."
