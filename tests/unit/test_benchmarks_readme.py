"""The README's tables are those of the newest records."""

from __future__ import annotations

import json

from benchmarks.readme import README, newest, rendered, table

RECORD = {
    "rows": [
        {
            "question": "a size",
            "ours": "mine",
            "median_ms": {"mine": 0.5, "theirs": 2.0},
            "times_faster": {"theirs": 4.0},
        }
    ]
}


def test_the_readme_says_what_the_records_say():
    text = README.read_text(encoding="utf-8")
    assert "<!-- results:confusion -->" in text
    assert "<!-- results:decode -->" in text
    assert "<!-- results:quantization -->" in text
    assert rendered(text) == text, "run `make docs`"


def test_a_drifted_table_is_made_anew():
    text = README.read_text(encoding="utf-8")
    assert rendered(text.replace("times as fast |", "times as slow |")) == text


def test_a_row_has_both_medians_and_the_ratio():
    assert table(RECORD).splitlines()[-1] == "| a size, against theirs | 0.50 | 2.00 | 4.0 times as fast |"


def test_the_newest_record_is_the_last_of_the_last_day(tmp_path):
    names = ["2026-01-02-x.json", "2026-01-10-x.json", "2026-01-10-x-2.json", "2026-01-10-x-10.json"]
    for name in names:
        (tmp_path / name).write_text(json.dumps({"name": name}))
    assert newest("x", tmp_path) == {"name": "2026-01-10-x-10.json"}
