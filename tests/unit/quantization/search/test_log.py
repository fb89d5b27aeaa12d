"""The log of a search: what is read again, what is dropped and what is refused."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from fcn_deploy.errors import OutputError, RecordError
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.quantization.search.images import PassResult
from fcn_deploy.quantization.search.log import SearchLog, SearchStep

KEY = {"model": "0123", "target": "tensorrt", "layers": ["a", "b"]}
FP32, ONLY = SearchStep("fp32"), SearchStep("only", ("a",))


OVERALL, BOUNDARY = [[[3, 1], [0, 0]], [[0, 0], [0, 4]]], [[[1, 1], [0, 0]], [[0, 0], [0, 0]]]


def _measured(seconds: float = 1.5) -> PassResult:
    return PassResult(np.array(OVERALL), np.array(BOUNDARY), PixelShare(7, 8), seconds, 2.25)


def _log(path: Path, key: dict = KEY) -> SearchLog:
    return SearchLog(path, key, classes=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log = _log(tmp_path / "new" / "s.jsonl", KEY)
    log.add(FP32, _measured())
    log.add(ONLY, _measured(0.5))
    return log.path


def test_steps_are_read_again_with_their_counts(path):
    log = _log(path, KEY)
    assert (log.found, len(log)) == (2, 2)
    found = log.get(ONLY)
    assert (found.overall.tolist(), found.boundary.tolist()) == (OVERALL, BOUNDARY)
    assert (found.same, found.seconds, found.cpu_seconds) == (PixelShare(7, 8), 0.5, 2.25)
    # IoU 3 / 4 and 4 / 5.
    assert found.mean_iou == pytest.approx(77.5)
    assert found.changed == 0.125
    assert log.get(SearchStep("only", ("b",))) is None


@pytest.mark.parametrize("length", [1, 30, -1])
def test_half_a_line_is_dropped_and_the_step_written_again(path, length):
    text = path.read_text()
    last = text.splitlines()[-1]
    path.write_text(text[: -len(last) - 1] + last[:length])
    log = _log(path, KEY)
    assert (log.found, log.get(ONLY)) == (1, None)
    log.add(ONLY, _measured(0.5))
    assert path.read_text() == text


def test_the_log_of_another_search_is_refused_with_what_differs(path):
    before = path.read_text()
    with pytest.raises(
        RecordError, match=r"differs in model \(0123, now 4567\), target \(tensorrt, now cpu\); name"
    ) as e:
        _log(path, KEY | {"model": "4567", "target": "cpu"})
    assert "layers" not in str(e.value)
    with pytest.raises(RecordError, match=r"differs in fp16 \(null, now true\)"):
        _log(path, KEY | {"fp16": True})
    assert path.read_text() == before


def test_a_damaged_line_is_named_and_the_file_left_alone(path):
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:40], lines[2]]) + "\n")
    before = path.read_text()
    with pytest.raises(RecordError, match="line 2 of the search log"):
        _log(path, KEY)
    assert path.read_text() == before


@pytest.mark.parametrize(
    "text", ["notes\n", "notes without an end", '{"kind": "bench"}\n', "[]\n", '{"kind": "layer search"}\n']
)
def test_another_file_is_not_taken_for_a_log(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(RecordError, match="is no search log"):
        _log(path, KEY)
    assert path.read_text() == text


def test_a_later_schema_is_refused(path):
    header, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(header) | {"schema": 3}), *rest]) + "\n")
    with pytest.raises(RecordError, match="has schema 3; this version reads schema 2"):
        _log(path, KEY)


def test_an_earlier_log_without_the_counts_of_each_image_is_refused_and_left_alone(path):
    text = json.dumps({"schema": 1, "kind": "layer search", "key": KEY}) + "\n"
    path.write_text(text)
    with pytest.raises(
        RecordError, match=r"has schema 1; this version reads schema 2; name another file \(--search-log"
    ):
        _log(path, KEY)
    assert path.read_text() == text


@pytest.mark.parametrize("counts", ["!", "AAAA", base64.b64encode(zlib.compress(bytes(8))).decode()])
def test_counts_that_are_damaged_or_of_other_classes_are_named(path, counts):
    header, line = path.read_text().splitlines()[:2]
    path.write_text(f"{header}\n{json.dumps(json.loads(line) | {'boundary': counts})}\n")
    with pytest.raises(RecordError, match=r"line 2 of the search log .* is damaged: its counts cannot be read; remove"):
        _log(path, KEY)


@pytest.mark.parametrize("counts", [OVERALL[:1], [[[-3, 1], [0, 0]], OVERALL[1]]])
def test_counts_of_other_images_or_below_zero_are_named(path, counts):
    header, line = path.read_text().splitlines()[:2]
    packed = base64.b64encode(zlib.compress(np.array(counts, "<i8").tobytes())).decode()
    path.write_text(f"{header}\n{json.dumps(json.loads(line) | {'overall': packed})}\n")
    with pytest.raises(RecordError, match=r"line 2 of the search log .* are of different images, or below 0; remove"):
        _log(path, KEY)


def test_an_empty_file_is_begun(tmp_path):
    (tmp_path / "s.jsonl").touch()
    _log(tmp_path / "s.jsonl", KEY).add(FP32, _measured())
    assert _log(tmp_path / "s.jsonl", KEY).found == 1


def test_a_log_that_cannot_be_written_is_reported_at_once(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        _log(tmp_path, KEY)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        _log(tmp_path / "file" / "s.jsonl", KEY)
