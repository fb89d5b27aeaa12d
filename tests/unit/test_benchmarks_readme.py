"""The README's tables are those of the newest records."""

from __future__ import annotations

from benchmarks.readme import README, peers_table, rendered, table

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
    assert "<!-- results:peers -->" in text
    assert rendered(text) == text, "run `make docs`"


def test_a_drifted_table_is_made_anew():
    text = README.read_text(encoding="utf-8")
    assert rendered(text.replace("times as fast |", "times as slow |")) == text


def test_a_row_has_both_medians_and_the_ratio():
    assert table(RECORD).splitlines()[-1] == "| a size, against theirs | 0.50 | 2.00 | 4.0 times as fast |"


def test_a_row_of_peers_has_its_type_and_its_share_of_the_machine():
    row = {
        "question": "fcn8s, width 1, 360x480, 2 cores",
        "ours": "mine",
        "median_ms": {"eager": 640.0, "mine": 80.0},
        "times_faster": {"eager": 8.0},
        "computes_in": {"eager": "FP32", "mine": "INT8"},
        "limit_ms": {"FP32": 320.0, "INT8": 76.0},
        "not_run": {"compiler": "no C++ compiler"},
    }
    assert peers_table({"rows": [row]}).splitlines()[2:] == [
        "| 360x480 | eager | FP32 | 640 | 8.0 times as fast | 50% |",
        "| 360x480 | mine | INT8 | 80 | **ours** | 95% |",
        "| 360x480 | compiler |  | not run: no C++ compiler |  |  |",
    ]
