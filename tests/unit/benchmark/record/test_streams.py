"""How many streams a row holds, and how a record, its tables and its sentences say so."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from fcn_deploy.benchmark.record.file import from_json, to_json
from fcn_deploy.benchmark.record.measurement import StreamLoad, StreamTest
from fcn_deploy.benchmark.record.streams import held_streams, holds, p99_ms
from fcn_deploy.benchmark.report.sheets import sheets
from fcn_deploy.benchmark.report.text import render_csv
from fcn_deploy.benchmark.verdicts.streams import stream_lines
from fcn_deploy.errors import RecordError
from tests.support.bench_records import MS, RECORD, ROWS, remeasured, with_rows

TEST = StreamTest(8, 30.0, 0.05)


def load(streams, ms, **more):
    return StreamLoad(streams, 5.0, (ms * MS,) * 300, **more)


def loaded(*loads):
    """A record whose rows have these loads, one tuple a row."""
    rows = [remeasured(row, loads=found) for row, found in zip(ROWS, loads, strict=False)]
    return replace(with_rows(*rows), settings=replace(RECORD.settings, streams=TEST))


BOTH = loaded((load(3, 41), load(4, 180)), (load(1, 60),))


def test_99_of_100_images_are_to_keep_the_deadline():
    rare = StreamLoad(3, 5.0, (41 * MS,) * 997 + (900 * MS,) * 3)
    assert holds(rare, TEST)
    assert not holds(replace(rare, latency_ns=rare.latency_ns + (900 * MS,) * 20), TEST)
    assert not holds(replace(rare, given_up=True), TEST)
    assert p99_ms(rare) == 41


def test_the_largest_number_that_holds_and_the_smallest_that_does_not():
    held = held_streams(BOTH, BOTH.rows[0])
    assert (held.streams, held.beyond.streams) == (3, 4)
    assert held_streams(BOTH, BOTH.rows[1]).streams == 0
    assert held_streams(RECORD, RECORD.rows[0]) is None


def test_the_answer_is_a_sentence_for_each_row():
    assert stream_lines(BOTH) == [
        "pytorch holds 3 streams of 30 images/s within 50 ms (p99 41 ms); at 4 p99 is 180 ms",
        "onnxruntime does not hold 1 stream of 30 images/s within 50 ms: p99 is 60 ms",
    ]
    assert stream_lines(RECORD) == []


def test_the_row_with_the_most_streams_is_named_first():
    lines = stream_lines(loaded((load(3, 41), load(4, 1500, given_up=True)), (load(8, 20),)))
    assert lines == [
        "onnxruntime holds 8 streams of 30 images/s within 50 ms (p99 20 ms), as many as were tried",
        "pytorch holds 3 streams of 30 images/s within 50 ms (p99 41 ms); at 4 it fell behind: an image took 1,500 ms",
    ]


def test_a_deadline_that_no_row_can_meet_is_reported():
    lines = stream_lines(loaded((load(1, 70),), (load(1, 60),)))
    assert lines[-1] == (
        "no row serves 1 stream of 30 images/s within 50 ms; allow more time (--deadline) or send fewer images (--fps)"
    )


def test_the_table_and_the_csv_have_the_same_figures():
    (sheet,) = [sheet for sheet in sheets(BOTH) if sheet.title == "Streams"]
    assert sheet.columns == ("runner", "streams held", "p99 ms", "p99 ms of one more")
    assert sheet.rows == (("pytorch", "3", "41.0", "180"), ("onnxruntime", "0", "-", "60.0"))
    lines = list(csv.DictReader(io.StringIO(render_csv(BOTH))))
    assert [line["streams_held"] for line in lines] == ["3", "0"]
    assert (lines[0]["streams_p99_ms"], lines[1]["streams_p99_ms"]) == ("41.0", "")
    assert (lines[0]["streams_fps"], lines[0]["streams_deadline_ms"]) == ("30.0", "50.0")
    assert "streams_held" not in render_csv(RECORD)
    assert "Streams" not in [sheet.title for sheet in sheets(RECORD)]


def test_the_record_keeps_each_image_and_is_read_again():
    assert from_json(to_json(BOTH)) == BOTH


def test_loads_that_contradict_themselves_are_refused():
    empty = loaded((replace(load(3, 41), latency_ns=()),))
    with pytest.raises(RecordError, match="pytorch has no images under 3 streams"):
        from_json(to_json(empty))
    negative = loaded((load(3, -1),))
    with pytest.raises(RecordError, match="pytorch has an image under 3 streams that took no time or less"):
        from_json(to_json(negative))
