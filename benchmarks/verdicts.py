"""How often the comparison is right: identical runners that it calls equal, and one a little slower that it finds.

Each run is a process of its own, as each `fcn-deploy bench` is. In it three runners that multiply matrices take turns
under the command's own defaults (warm-up, settling, stop on stability): two are the same, the third has more to do.
Rows of one run are compared round by round, as the words under the table do; each run is compared with the one before
it as `--baseline` does, with its refusal where other processes were at work, and as `--baseline --relative` does.
A further row shows what the harness itself adds to an inference.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite import Measured
from benchmarks.verdicts_run import SAME, harness_ns
from fcn_deploy.benchmark.baseline.compare import Comparison, compare_records
from fcn_deploy.benchmark.baseline.significance import MIN_ROUNDS, Ratio
from fcn_deploy.benchmark.record.file import read_record
from fcn_deploy.benchmark.record.series import series
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.verdicts.speed import speed_ratio
from fcn_deploy.errors import RunnerError
from fcn_deploy.system.process import ChildError, run_in_child


@dataclass
class Count:
    """Verdicts on pairs: how many of identical runners were "equal", in how many the slower one was found.

    Attributes:
        refused: pairs whose times are not compared, each with the reason.
        same, slower: the ratios that were judged, each with its 95 % interval.
    """

    refused: list[str] = field(default_factory=list)
    same: list[Ratio] = field(default_factory=list)
    slower: list[Ratio] = field(default_factory=list)

    def add(self, same: Ratio, slower: Ratio) -> None:
        if same.low is None or slower.low is None:
            self.refused.append(f"fewer than {MIN_ROUNDS} rounds")
            return
        self.same.append(same)
        self.slower.append(slower)

    def row(self, question: str) -> dict[str, Any]:
        return {
            "question": question,
            "pairs": len(self.same),
            "equal": sum(not (found.longer or found.shorter) for found in self.same),
            "found": sum(found.longer for found in self.slower),
            "refused": self.refused,
            "same": [_plain(found) for found in self.same],
            "slower": [_plain(found) for found in self.slower],
        }


def measure(runs: int, products: int, slower: int, side: int, seconds: float) -> Measured:
    """Three rows: in turn, between runs, and between runs by shares of the first runner's time.

    Args:
        products, slower: matrix products of an inference, and of one by the slower runner.
        side: of the matrices.
        seconds: of timing at most, as `--seconds`.
    """
    with tempfile.TemporaryDirectory() as folder:
        records = [_run(Path(folder) / "run.json", products, slower, side, seconds) for _ in range(runs)]
    more = f"{100 * (slower / products - 1):.0f} % slower"
    rows = [
        in_turn(records).row(f"rows of one run, {more}"),
        between(records, relative=False).row(f"a run and its baseline, {more}"),
        between(records, relative=True).row(f"a run and its baseline, --relative, {more}"),
    ]
    harness = {"median_ns": harness_ns(), "of": "an inference that multiplies nothing"}
    rounds = [len(record.rounds) for record in records]
    return rows, {"harness": harness, "rounds": rounds, "medians_ms": [*_medians(records)]}


def in_turn(records: Sequence[Record]) -> Count:
    found = Count()
    for record in records:
        one, *others = record.rows
        same, slower = (speed_ratio(record, one, other) for other in others)
        assert same is not None
        assert slower is not None
        found.add(same, slower)
    return found


def between(records: Sequence[Record], *, relative: bool) -> Count:
    """Compare each run with the one before; the slower runner then takes the name of the one that it follows."""
    found = Count()
    for baseline, record in pairwise(records):
        comparison = compare_records(baseline, record, relative=relative)
        if comparison.no_speed:
            found.refused.append(comparison.no_speed)
            continue
        slower = compare_records(baseline, _as_if_slower(record), relative=relative)
        found.add(_ratio_of(comparison), _ratio_of(slower))
    return found


def _ratio_of(comparison: Comparison) -> Ratio:
    return next(row.speed[0].ratio for row in comparison.rows if row.runner == SAME)


def _as_if_slower(record: Record) -> Record:
    """Of the same run, with the slower runner in the place of the one that is compared."""
    first, _, slower = record.rows
    return replace(record, rows=(first, replace(slower, runner=SAME)))


def _run(path: Path, *arguments: float) -> Record:
    """One record of a fresh process with one thread a runner."""
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        run_in_child(f"{__package__}.verdicts_run", [str(path), *arguments], environment=alone)
    except ChildError as error:
        raise RunnerError(f"a run's process {error}") from error
    return read_record(path)


def _medians(records: Sequence[Record]) -> Iterator[list[float]]:
    for record in records:
        found = (series(record, row.own) for row in record.rows)
        yield [float(np.median(times.total_ms)) for times in found if times is not None]


def _plain(found: Ratio) -> list[float | None]:
    return [found.value, found.low, found.high]
