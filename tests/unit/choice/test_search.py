"""The search on planted candidates: who wins, and what budgets of single classes change."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcn_deploy.benchmark.runner_specs import parse_spec
from fcn_deploy.choice.bounds import Examiner
from fcn_deploy.choice.candidates import Candidate
from fcn_deploy.choice.frames import LabelledFrames
from fcn_deploy.choice.log import ChoiceLog
from fcn_deploy.choice.scoring import FrameCounts
from fcn_deploy.choice.search import Search
from fcn_deploy.choice.trials import Trials
from fcn_deploy.data.sample import Sample
from fcn_deploy.errors import RunnerError
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.network_size import NetworkSize
from fcn_deploy.runners.base import Runner
from fcn_deploy.system.progress import SILENT
from tests.support.fake_runners import FakeRunner

CLASSES = ("road", "sky", "car", "pole")
POLE = CLASSES.index("pole")


class Scenes:
    """Images whose red value is the label; every fourth row is a pole, as wide as 4 pixels."""

    name, classes, palette = "scenes", CLASSES, ()

    def __init__(self, count: int = 20) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        label = np.random.default_rng(index).integers(0, 3, (24, 32)).astype(np.uint8)
        label[::4, :4] = POLE
        return Sample(np.repeat(label[..., None], 3, axis=2), label, f"scene {index}")

    def read_label(self, index: int) -> Any:
        return None


def poles_lost(labels: Any) -> Any:
    """Lose two rows of poles in six: a twelfth of the mean, a third of the class."""
    return np.where((labels == POLE) & (np.arange(labels.shape[1])[:, None] < 8), 0, labels)


def all_lost(labels: Any) -> Any:
    return np.zeros_like(labels)


class PlantedFiles:
    """Opens fake runners: by precision how they change labels, and how many seconds they take."""

    def __init__(self, changes: dict[str, tuple[Any, float]]) -> None:
        self._changes = changes
        self.opened: list[str] = []

    def open(self, candidate: Candidate, *, threads: int | None = None) -> Runner:
        spec = candidate.spec
        self.opened.append(spec.text)
        if spec.precision == "fp16":
            raise RunnerError("no FP16 here")
        change, seconds = self._changes[spec.precision or "fp32"]
        return FakeRunner(spec.text, change=change, sleep_s=seconds)


PLANTED: dict[str, tuple[Any, float]] = {"fp32": (lambda labels: labels, 0.006), "int8": (poles_lost, 0.002)}
CANDIDATES = tuple(Candidate(parse_spec(text)) for text in ("onnxruntime", "onnxruntime:fp16", "onnxruntime:int8"))


def _search(folder: Path, budget: AccuracyBudget, files: PlantedFiles, **more: Any) -> Search:
    frames = LabelledFrames(Scenes(), CLASSES)
    log = ChoiceLog(folder / "log.jsonl", {"frames": frames.digest}, len(CLASSES))

    def reference(stack: ExitStack, threads: int) -> Runner:
        return FakeRunner("pytorch", sleep_s=0.01)

    trials = Trials(files, frames, log, "pytorch", reference, 1, 3, SILENT)  # type: ignore[arg-type]
    examiner = Examiner(budget, CLASSES, frames.present, len(frames))
    return Search(trials, examiner, more.get("max_ms"), more.get("deadline", float("inf")))


def _reasons(search: Search) -> dict[str, str]:
    return {state.candidate.name: state.dropped for state in search.tried}


def test_the_budget_of_a_class_changes_the_winner(tmp_path: Path):
    lenient = _search(tmp_path, AccuracyBudget(15), PlantedFiles(PLANTED))
    first = lenient.run(CANDIDATES)
    assert first is not None
    assert first.candidate.name == "onnxruntime:int8"
    assert "slower than onnxruntime:int8" in _reasons(lenient)["onnxruntime"]
    strict = _search(tmp_path, AccuracyBudget(15, class_drops={"pole": 1}), PlantedFiles(PLANTED))
    second = strict.run(CANDIDATES)
    assert second is not None
    assert second.candidate.name == "onnxruntime"
    assert "IoU of pole" in _reasons(strict)["onnxruntime:int8"]
    assert _reasons(strict)["onnxruntime:fp16"] == "failed: no FP16 here"


def test_the_hopeless_are_scored_on_eight_frames_and_not_timed(tmp_path: Path):
    files = PlantedFiles({"fp32": PLANTED["fp32"], "int8": (all_lost, 0.0)})
    search = _search(tmp_path, AccuracyBudget(1), files)
    winner = search.run(CANDIDATES)
    assert winner is not None
    assert winner.candidate.name == "onnxruntime"
    [lost] = [state for state in search.tried if state.candidate.precision == "int8"]
    assert lost.counts is not None
    assert (len(lost.counts), lost.rounds) == (8, 0)
    assert "after 8 of 20 frames" in lost.dropped


def test_what_takes_too_long_is_dropped_before_it_is_scored_on_all_frames(tmp_path: Path):
    search = _search(tmp_path, AccuracyBudget(50), PlantedFiles(PLANTED), max_ms=0.5)
    assert search.run(CANDIDATES) is None
    assert all("allowed 0.5" in reason for name, reason in _reasons(search).items() if name != "onnxruntime:fp16")


def test_what_is_in_the_log_is_not_run_again(tmp_path: Path):
    budget = AccuracyBudget(15)
    _search(tmp_path, budget, PlantedFiles(PLANTED)).run(CANDIDATES)
    files = PlantedFiles(PLANTED)
    again = _search(tmp_path, budget, files)
    winner = again.run(CANDIDATES)
    assert winner is not None
    assert files.opened == ["onnxruntime:fp16"]  # a failure is tried again


def test_no_step_starts_after_the_time_is_up(tmp_path: Path):
    files = PlantedFiles(PLANTED)
    search = _search(tmp_path, AccuracyBudget(15), files, deadline=0.0)
    assert search.run(CANDIDATES) is None
    assert (files.opened, search.complete) == ([], False)
    assert set(_reasons(search).values()) == {"the time was up before it was judged"}


@pytest.mark.parametrize("count", [1, 5])
def test_few_frames_are_scored_at_once(tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Scenes, "__len__", lambda self: count)
    search = _search(tmp_path, AccuracyBudget(15), PlantedFiles(PLANTED))
    winner = search.run(CANDIDATES)
    assert winner is not None
    assert winner.counts is not None
    assert len(winner.counts) == count


def at(size: str) -> Candidate:
    return Candidate(parse_spec("onnxruntime"), NetworkSize.parse(size), resized=size != "1")


class ScriptedTrials:
    """Frames that all pass, and times of frames and races as they are given, in milliseconds."""

    reference, frames, progress = "pytorch", range(20), SILENT

    def __init__(self, first: dict[str, float], races: dict[str, float]) -> None:
        self._first, self._races = first, races
        self.raced: list[list[str]] = []

    def score(self, candidate: Candidate | None, upto: int) -> FrameCounts:
        same = np.tile(np.eye(len(CLASSES), dtype=np.int64), (upto, 1, 1))
        ms = 1.0 if candidate is None else self._first[candidate.name]
        return FrameCounts(same, same, np.full(upto, int(ms * 1e6)))

    def race(self, candidates: list[Candidate], kind: str, rounds: int | None = None) -> dict[str, list[int]]:
        self.raced.append([candidate.name for candidate in candidates])
        times = {candidate.name: [int(self._races[candidate.name] * 1e6)] * 10 for candidate in candidates}
        return times | ({self.reference: [10_000_000] * 10} if kind == "reference" else {})


def _scripted(first: dict[str, float], races: dict[str, float]) -> tuple[Search, ScriptedTrials]:
    trials = ScriptedTrials(first, races)
    examiner = Examiner(AccuracyBudget(1), CLASSES, np.ones(len(CLASSES), bool), 20)
    return Search(trials, examiner, None, float("inf")), trials  # type: ignore[arg-type]


def test_who_is_far_behind_the_first_that_passed_is_neither_raced_nor_scored_further():
    candidates = [at(text) for text in ("1", "0.75", "0.5", "0.25")]
    names = [candidate.name for candidate in candidates]
    # the second took less than the third in its races; the first is far behind the third and near the second
    search, trials = _scripted(dict(zip(names, (8.0, 3.0, 2.0, 5.0), strict=True)), dict.fromkeys(names, 2.0))
    winner = search.run(candidates)
    assert winner is not None
    assert trials.raced[0] == [names[2], names[1], names[3]]
    assert [state.outcome for state in search.tried].count("shipped") == 1
    assert search.tried[0].outcome == "4.0 x the time"
    assert search.tried[0].dropped == f"slower than {names[2]}: 4.0 times its time on the first frames"
    assert search.tried[0].counts is not None
    assert len(search.tried[0].counts) == 8


def test_a_busy_second_does_not_drop_by_the_first_frames():
    candidates = [at("1"), at("0.5")]
    one, two = (candidate.name for candidate in candidates)
    search, _ = _scripted({one: 5.9, two: 2.0}, {one: 1.0, two: 2.0})
    winner = search.run(candidates)
    assert winner is not None
    assert winner.candidate.name == one
