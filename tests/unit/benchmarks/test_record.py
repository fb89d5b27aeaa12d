"""Records are added under names that sort by age, whatever schema they have."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks import record
from benchmarks.record import newest, read, write


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    return tmp_path


def test_a_record_carries_its_circumstances_and_its_name_says_them():
    path = write("what", [{"number": 1}], ["numpy"], {"load_before": [0.1, 0.2, 0.3]})
    found = read(path)
    assert found["rows"] == [{"number": 1}]
    assert (found["schema"], found["benchmark"], set(found["packages"])) == (2, "what", {"numpy"})
    assert {"cpu", "cores", "load_average", "python"} <= set(found["machine"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{4}-[a-z0-9-]+-\d+c-[a-z0-9]+-what\.json", path.name)
    assert f"-{found['commit']}-" in path.name


def test_records_of_the_same_minute_and_commit_are_kept_side_by_side():
    paths = [write("what", [{"number": number}], [], {}) for number in (1, 2, 3)]
    assert len(set(paths)) == 3
    assert newest("what")["rows"] == [{"number": 3}]


def test_the_newest_record_is_identified_by_date_time_and_number(tmp_path):
    ages = [
        "2026-01-02-x.json",
        "2026-01-10-x.json",
        "2026-01-10-x-2.json",
        "2026-01-10-x-10.json",
        "2026-01-10T0930-some-cpu-2c-abcdef1-x.json",
        "2026-01-10T1002-a-cpu-16c-0123456-x.json",
        "2026-01-10T1002-a-cpu-16c-0123456-x-2.json",
        "2026-02-01-x.json",
    ]
    for count, name in enumerate(ages, 1):
        (tmp_path / name).write_text(json.dumps({"name": name}))
        (tmp_path / name.replace("x", "other")).write_text(json.dumps({"name": "another suite"}))
        assert newest("x", tmp_path) == {"name": ages[count - 1]}


def test_a_suite_whose_name_ends_like_another_is_another(tmp_path):
    (tmp_path / "2026-01-10T1002-a-cpu-2c-0123456-peers.json").write_text('{"name": "peers"}')
    (tmp_path / "2026-01-11T1002-a-cpu-2c-0123456-speers.json").write_text('{"name": "speers"}')
    assert newest("peers", tmp_path) == {"name": "peers"}
