"""What `choose` finds and costs, next to the full grid: every candidate on all frames, and timed as `bench` does.

Each runs in a process of its own, whose processor time counts from its start to its end, libraries and files included.
The grid scores PyTorch as `choose` does, by two inferences at once, and times nothing but the candidates: a size at a
time, in turns, for 20 s or 500 rounds or until every median is known to within 1 %, the defaults of `bench`.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fcn_deploy
from benchmarks.suite import Measured
from fcn_deploy.benchmark.timing.latency import Budget
from fcn_deploy.benchmark.timing.latency import measure as time_in_turns
from fcn_deploy.choice.choose import choice_options
from fcn_deploy.choice.opening import opened
from fcn_deploy.choice.options import PRECISIONS, ChoiceOptions
from fcn_deploy.choice.race import median_ms
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.system.files import write_text
from fcn_deploy.system.progress import SILENT


def measure(model: str, data: str, calib: str, sizes: Sequence[str], drop: float) -> Measured:
    """Return the rows of the choice and of the grid, and the choice's share of the grid's processor time.

    Args:
        model: an FP32 ONNX file or a checkpoint.
        data, calib: labelled frames, and other ones for calibration.
        drop: points of mIoU that may be lost.
    """
    asked = {"model": model, "data": data, "calibration": calib, "sizes": tuple(sizes), "max_miou_drop": drop}
    rows = [_alone(part, asked) for part in (choice, grid)]
    share = rows[0]["cpu_seconds"] / rows[1]["cpu_seconds"]
    return rows, {"share": share, "same_winner": rows[0]["winner"] == rows[1]["winner"]}


def _alone(part: Callable[[Mapping[str, Any], Path], None], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Run a part in a process of its own; return what it wrote, with the time that it took."""
    with tempfile.TemporaryDirectory() as name:
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        process = multiprocessing.get_context("spawn").Process(target=part, args=(asked, Path(name)))
        process.start()
        process.join()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.exitcode:
            raise FcnDeployError(f"the {part.__name__} failed; its error is above")
        found: dict[str, Any] = json.loads((Path(name) / "found.json").read_text(encoding="utf-8"))
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"what": part.__name__, "cpu_seconds": seconds, "wall_seconds": time.perf_counter() - started, **found}


def choice(asked: Mapping[str, Any], folder: Path) -> None:
    """Choose as a user does."""
    found = fcn_deploy.choose(output=folder / "best.onnx", **asked)
    rows = [
        {"name": each.name, "frames": each.frames, "rounds": each.rounds, "ms": each.ms, "reason": each.reason}
        for each in found.tried
    ]
    winner = None if found.winner is None else found.winner.name
    write_text(folder / "found.json", json.dumps({"winner": winner, "candidates": rows}))


def grid(asked: Mapping[str, Any], folder: Path) -> None:
    """Score every candidate on all frames and time all of them; the fastest that keeps the limit wins."""
    options = _options(asked, folder / "best.onnx")
    rows: list[dict[str, Any]] = []
    with opened(options, SILENT) as found:
        trials, frames = found.trials, len(found.trials.frames)
        reference = trials.score(None, frames)
        for candidate in found.candidates:
            objection = found.examiner.objection(reference, trials.score(candidate, frames))
            rows.append({"name": candidate.name, "frames": frames, "reason": objection})
        for size in dict.fromkeys(candidate.size for candidate in found.candidates):
            same = [candidate for candidate in found.candidates if candidate.size == size]
            with ExitStack() as stack:
                runners = [trials.open(candidate, stack) for candidate in same]
                _, samples = time_in_turns(runners, trials.batches(), Budget())
            timed = {each.name: sample.total_ns for each, sample in zip(same, samples, strict=True)}
            for row in (row for row in rows if row["name"] in timed):
                row.update(rounds=len(timed[row["name"]]), ms=median_ms(timed[row["name"]]))
    passed = [row for row in rows if not row["reason"]]
    winner = min(passed, key=lambda row: row["ms"])["name"] if passed else None
    write_text(folder / "found.json", json.dumps({"winner": winner, "candidates": rows}))


def _options(asked: Mapping[str, Any], output: Path) -> ChoiceOptions:
    unset = dict.fromkeys(("max_boundary_drop", "max_class_drop", "runners", "targets", "work"))
    given: dict[str, Any] = {"precisions": PRECISIONS, **unset, **asked}
    return choice_options(output=output, **given)
