"""The log of a choice: what is taken up again, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcn_deploy.choice.log import ChoiceLog
from fcn_deploy.choice.scoring import FrameCounts
from fcn_deploy.errors import RecordError

KEY = {"model": "0123", "frames": "4567"}


def _counts(frames: int, start: int = 0) -> FrameCounts:
    overall = np.arange(start, start + frames * 4).reshape(frames, 2, 2)
    return FrameCounts(overall, overall // 2, np.arange(frames) + start)


def test_frames_and_races_are_read_again(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    log = ChoiceLog(path, KEY, 2)
    log.add_frames("a", _counts(2))
    log.add_frames("a", _counts(3, 50))
    log.add_times("few rounds: a", {"a": [5, 6]})
    again = ChoiceLog(path, KEY, 2)
    assert (again.found, len(again)) == (3, 3)
    found = again.frames("a")
    assert found.overall.tolist() == _counts(2).overall.tolist() + _counts(3, 50).overall.tolist()
    assert found.boundary.shape == (5, 2, 2)
    assert found.times.tolist() == [0, 1, 50, 51, 52]
    assert again.times("few rounds: a", ["a"]) == {"a": [5, 6]}
    assert (len(again.frames("b")), again.times("race: a", ["a"])) == (0, None)


def test_half_a_line_is_dropped(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    log = ChoiceLog(path, KEY, 2)
    log.add_frames("a", _counts(2))
    log.add_frames("a", _counts(3, 50))
    path.write_bytes(path.read_bytes()[:-20])
    again = ChoiceLog(path, KEY, 2)
    assert len(again.frames("a")) == 2
    again.add_frames("a", _counts(3, 50))
    assert len(ChoiceLog(path, KEY, 2).frames("a")) == 5


def test_a_log_without_a_step_is_no_file(tmp_path: Path):
    log = ChoiceLog(tmp_path / "log.jsonl", KEY, 2)
    assert not log.path.exists()
    log.add_frames("a", _counts(1))
    assert len(log.path.read_text().splitlines()) == 2


def test_the_log_of_another_choice_is_refused(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    ChoiceLog(path, KEY, 2).add_times("few rounds: a", {"a": [5, 6]})
    with pytest.raises(RecordError, match=r"log of another choice: it differs in model \(0123, now 9\).*--work"):
        ChoiceLog(path, KEY | {"model": "9"}, 2)


@pytest.mark.parametrize(
    "line",
    [
        '{"step": "a", "first": 1, "overall": [[[1, 2], [3, 4]]], "boundary": [[[1, 2], [3, 4]]], "nanoseconds": [5]}',
        '{"step": "a", "first": 0, "overall": [[[1]]], "boundary": [[[1]]], "nanoseconds": [5]}',
        '{"step": "a", "first": 0, "overall": [[[1, 2], [3]]], "boundary": [], "nanoseconds": [5]}',
        '{"step": "a", "first": 0, "overall": [[[1, 2], [3, 4]]], "boundary": [], "nanoseconds": [5]}',
        '{"step": "a", "first": 0, "overall": [[[1, 2], [3, 4]]], "boundary": [[[1, 2], [3, 4]]]}',
        '{"step": "a", "first": 0, "overall": [[[1, -2], [3, 4]]], "boundary": [[[1, 2], [3, 4]]], "nanoseconds": [5]}',
        '{"step": "a", "first": 0, "overall": [[[1, 2], [3, 4]]], "boundary": [[[1, 2], [3, 4]]], "nanoseconds": [-5]}',
        '{"step": "a", "times": {"a": [5], "b": []}}',
        '{"step": "a", "times": {"a": [-5]}}',
        '{"first": 0}',
        "nothing",
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str):
    path = tmp_path / "log.jsonl"
    ChoiceLog(path, KEY, 2).add_times("few rounds: a", {"a": [5, 6]})
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RecordError, match="line 3 of the choice log"):
        ChoiceLog(path, KEY, 2)


def test_a_race_of_other_candidates_is_not_taken(tmp_path: Path):
    log = ChoiceLog(tmp_path / "log.jsonl", KEY, 2)
    log.add_times("few rounds: a", {"b": [5, 6]})
    with pytest.raises(RecordError, match=r"'few rounds: a' .* has times of b; expected those of a; remove the line"):
        log.times("few rounds: a", ["a"])


def test_a_first_line_that_is_nested_deep_is_of_no_log(tmp_path: Path):
    (tmp_path / "log.jsonl").write_text("[" * 100_000 + "\n")
    with pytest.raises(RecordError, match="is no choice log; name another file"):
        ChoiceLog(tmp_path / "log.jsonl", KEY, 2)
