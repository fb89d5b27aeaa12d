from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.file import from_json, read_record, to_json, write_record
from fcn_deploy.benchmark.record.measurement import Frame, Latency, Measurement, Saturated, StepTimes
from fcn_deploy.benchmark.report.text import render_csv
from fcn_deploy.errors import OutputError, RecordError
from fcn_deploy.system.serialization.plain import plain
from tests.support import GOLDEN
from tests.support.bench_records import MS, RECORD, ROWS, latency, remeasured, with_rows

RESIZED = Measurement((1, 66, 94), latency((5, 6, 7)))


def changed(**changes: object) -> str:
    return json.dumps(json.loads(to_json(RECORD)) | changes)


def test_a_record_survives_the_round_trip(tmp_path):
    write_record(tmp_path / "new" / "run.json", RECORD)
    assert read_record(tmp_path / "new" / "run.json") == RECORD


def test_a_record_is_shown_as_one_line():
    assert repr(RECORD) == f"<Record {RECORD.model.name}, {len(RECORD.rows)} rows, {RECORD.created}>"


def test_every_kind_of_measurement_survives_the_round_trip():
    samples = Latency((1, 2), (3, 4), (5, 6), (7,), StepTimes((0, 1), (2, 3), (4, 5)))
    saturated = Saturated(9, 1.5, True, ((4, 0.5), (5, 1.0)), {"gpu 0": 450.5})
    cell = Measurement(
        (2, 33, 47), samples, saturated, None, replace(ROWS[0].own.accuracy, by_image=(((1, 2), (3, 4)),))
    )
    row = remeasured(ROWS[0], saturated=saturated, frames=(Frame("a.png", 1550, 1551),), resized=(cell,))
    states = (rec.GpuState(0, 0.5, 1980, None, 312.5, 61, None, ("software power cap",)),)
    record = replace(with_rows(row), gpu_states=states)
    assert from_json(to_json(record)) == record


def test_a_record_of_schema_1_is_one_that_measured_less():
    old = GOLDEN / "bench_schema1.json"
    assert json.loads(old.read_text())["schema"] == 1
    assert read_record(old) == RECORD


def with_newer_fields(old: dict) -> dict:
    """What an older record did not measure, and a newer one holds as nothing."""
    busy, accuracy = old["saturated"], old["accuracy"]
    return old | {
        "saturated": None if busy is None else busy | {"joules": {}},
        "accuracy": None if accuracy is None else accuracy | {"boundary_by_image": [], "boundary_iou": []},
    }


def test_a_record_of_schema_2_keeps_all_that_it_measured():
    """A real one: two runners on two images, and at 33x47 in batches of 1 and 2."""
    raw, record = json.loads((GOLDEN / "bench_schema2.json").read_text()), read_record(GOLDEN / "bench_schema2.json")
    assert raw["schema"] == 2
    for old, row in zip(raw["rows"], record.rows, strict=True):
        assert row.own.shape is None
        parts = ("latency", "saturated", "memory", "accuracy", "agreement", "frames")
        assert {part: plain(row.own)[part] for part in parts} == {part: with_newer_fields(old)[part] for part in parts}
        assert [found.shape for found in row.resized] == [(1, 33, 47), (2, 33, 47)]
        assert plain(row.resized) == [
            with_newer_fields(cell) | {"agreement": None, "frames": [], "loads": []} for cell in old["cells"]
        ]
        assert (row.runner, row.status, list(row.notes), plain(row.built)) == (
            old["runner"], old["status"], old["notes"], old["built"],
        )  # fmt: skip
    assert from_json(to_json(record)) == record


def test_the_figures_of_a_record_of_schema_2_are_those_that_its_version_showed():
    assert render_csv(read_record(GOLDEN / "bench_schema2.json")) == (GOLDEN / "bench_schema2.csv").read_text()


def test_junk_in_a_row_of_schema_2_is_refused_with_the_place():
    raw = json.loads((GOLDEN / "bench_schema2.json").read_text())
    raw["rows"][1]["cells"][0]["latency"]["upload_ns"] = 5
    with pytest.raises(RecordError, match=r"record: rows\[1\]\.cells\[0\]\.latency\.upload_ns is 5; expected a list"):
        from_json(json.dumps(raw))


def test_the_file_is_strict_json_with_raw_samples_and_a_summary_for_others():
    whole = json.loads(to_json(RECORD), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (whole["schema"], whole["kind"]) == (3, "bench")
    (own,) = whole["rows"][1]["measurements"]
    assert own["shape"] is None
    assert own["latency"]["execute_ns"] == [17_000_000, 17_000_000, 17_000_000, 47_000_000]
    assert own["latency"]["warmup_ns"] == [500_000_000, 90_000_000]
    assert own["summary"]["median_ms"] == 20
    assert whole["rows"][2]["measurements"] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "is not JSON"),
        ('{"schema": 1', "is not JSON"),
        ("[]", "is not a benchmark record"),
        ('{"schema": 1, "kind": "accuracy"}', "is not a benchmark record"),
        (changed(schema=7), "has schema 7; this version reads schema 1, 2 and 3"),
        ('{"schema": 3, "kind": "bench"}', "missing created, model"),
        ('{"schema": 1, "kind": "bench"}', "missing rows"),
        (changed(rounds="many"), r"record: rounds is 'many'; expected a list"),
        (changed(rounds=[0, 0.5]), r"record: rounds\[1\] is 0.5; expected an integer"),
        (changed(shapes=[[1, 2]]), r"record: shapes\[0\] is \[1, 2\]; expected a list of 3"),
        (changed(rows=[{"runner": "x", "status": "fine"}]), r"rows\[0\]\.status is 'fine'; expected ok or failed"),
        (changed(rounds=[0]), r"pytorch has \[4\] samples for 1 rounds"),
        (changed(rounds=[0, 0, 0, 3]), "rounds of shapes that it does not list"),
        (changed(schema=True), "schema True; this version reads schema 1, 2 and 3$"),
        (changed(rows=[]), "has no rows; expected one for each runner"),
        (changed(schema=4), "schema 4; this version reads schema 1, 2 and 3; a newer fcn-deploy wrote it"),
        (changed(schema="x"), "schema x; this version reads schema 1, 2 and 3$"),
        (changed(other_cores=float("nan")), r"record: other_cores is nan; expected a finite number"),
        (changed(rounds=[10**30]), r"record: rounds\[0\] is 1000.*; expected an integer of 64 bits"),
        (changed(environment={"cores": 5}), r"record: environment: cores is 5; expected a table of keys"),
        (changed(environment={"gpus": [5]}), r"record: environment: gpus\[0\] is 5; expected text"),
        ("[" * 100_000, "nested more than 100 deep"),
    ],
)
def test_junk_is_refused_with_the_place(text, found):
    with pytest.raises(RecordError, match=found):
        from_json(text)


def edited(place: tuple[str | int, ...], value: object) -> str:
    """RECORD, with resized images in its second row, and one value in it replaced."""
    whole = json.loads(
        to_json(with_rows(ROWS[0], remeasured(ROWS[1], resized=(RESIZED,), saturated=Saturated(8, 1.0))))
    )
    *path, last = place
    inner = whole
    for key in path:
        inner = inner[key]
    inner[last] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("place", "value", "found"),
    [
        (("rows", 1, "measurements", 1, "latency", "upload_ns"), [1], r"onnxruntime at 1x66x94 has \[1, 3\] samples"),
        (
            ("rows", 1, "measurements", 0, "latency", "execute_ns"),
            [-9 * MS] * 4,
            "onnxruntime has an inference that took no time or less",
        ),
        (
            ("rows", 1, "measurements", 0, "latency", "upload_ns", 0),
            -1,
            "onnxruntime has an inference that took no time or less",
        ),
        (
            ("rows", 1, "measurements", 0, "latency", "device"),
            {"upload_ns": [1], "execute_ns": [], "download_ns": []},
            r"\[0, 1, 4\] samp",
        ),
        (("rows", 1, "measurements", 0, "saturated", "seconds"), 0, "onnxruntime has 8 images in 0 s"),
        (
            ("rows", 0, "measurements", 0, "accuracy", "overall"),
            [[1, 2], [3]],
            "pytorch has counts that are no matrix of 2 by 2",
        ),
        (
            ("rows", 0, "measurements", 0, "accuracy", "boundary"),
            [[1, 2], [3, -4]],
            "pytorch has counts that are no matrix of 2 by 2",
        ),
        (
            ("rows", 0, "measurements", 0, "accuracy", "by_image"),
            [[[1]]],
            "pytorch has counts that are no matrix of 2 by 2",
        ),
        (
            ("rows", 0, "measurements", 0, "accuracy", "boundary_iou"),
            [[5, 5], [4, 9], [9, 9]],
            "pytorch has counts of Boundary IoU that are no 3 by 2 numbers of pixels",
        ),
        (("reference", "accuracy", "overall"), [[1]], "the reference has counts of 1 classes, and the data has 2"),
        (
            ("rows", 1, "measurements", 0, "agreement", "overall", "agreed"),
            10**9,
            "agrees at more pixels than there are",
        ),
        (("rows", 1, "measurements", 1, "shape"), None, "onnxruntime has two measurements of one shape"),
        (("settings", "batch"), 0, "settings.batch is 0; expected an integer of 1 or more"),
        (("model", "card"), {}, r"model\.card: missing model, classes"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused_with_what_is_wrong(place, value, found):
    from_json(edited(("created",), "2026"))  # as it was before the edit it can be read
    with pytest.raises(RecordError, match=found):
        from_json(edited(place, value))


def test_fields_of_a_later_version_are_passed_over():
    assert from_json(changed(weather="fair")) == RECORD


def test_a_record_that_kept_no_hash_of_what_was_made_is_read():
    whole = json.loads(to_json(RECORD))
    assert whole["rows"][4]["built"].pop("sha256") == ""
    assert from_json(json.dumps(whole)) == RECORD


def test_missing_and_binary_files_are_record_errors(tmp_path):
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for name in ("none.json", "binary.json"):
        with pytest.raises(RecordError, match=name):
            read_record(tmp_path / name)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_record(tmp_path / "file" / "run.json", RECORD)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
