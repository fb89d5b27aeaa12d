"""The tables of README and docs are those of the newest records."""

from __future__ import annotations

import pytest

from benchmarks import readme
from benchmarks.readme import README, pages, peers_table, rendered, sliding_table, table
from fcn_deploy.errors import UnknownNameError

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


def test_every_suite_with_a_table_has_its_place():
    text = "".join(page.read_text(encoding="utf-8") for page in pages())
    assert "<!-- results:sliding -->" in text
    assert "<!-- results:confusion -->" in text
    assert "<!-- results:decode -->" in text
    assert "<!-- results:quantization -->" in text
    assert "<!-- results:peers -->" in text


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_page_says_what_the_records_say(page):
    text = page.read_text(encoding="utf-8")
    assert rendered(text) == text, "run `make docs`"


def test_a_record_of_slips_is_shown_as_its_counts():
    counts = {"one mistake: right": 40, "no mistake: not named": 4}
    assert readme.markdown({"benchmark": "slips", "rows": [], "counts": counts}).splitlines()[2:] == [
        "| one mistake | right | 40 |",
        "| no mistake | not named | 4 |",
    ]


def test_a_suite_without_a_record_says_how_to_make_one(monkeypatch):
    monkeypatch.setattr(readme, "newest", lambda name: None)
    block = "<!-- results:sliding -->\nold\n<!-- end -->"
    made = "<!-- results:sliding -->\nNot measured yet: `python -m benchmarks sliding`.\n<!-- end -->"
    assert rendered(block) == rendered(made) == made


def test_a_block_of_no_suite_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean sliding"):
        rendered("<!-- results:slidings -->\n<!-- end -->")


def test_a_drifted_table_is_made_again():
    text = README.read_text(encoding="utf-8")
    assert rendered(text.replace("times as fast |", "times as slow |")) == text


def test_a_row_has_both_medians_and_the_ratio():
    assert table(RECORD).splitlines()[-1] == "| a size, against theirs | 0.50 | 2.00 | 4.0 times as fast |"


def test_a_row_of_peers_has_its_type_and_its_share_of_the_machine():
    row = {
        "question": "fcn8s, width 1, 360x480, 2 cores",
        "ours": "mine",
        "median_ms": {"eager": 1640.0, "mine": 8.0},
        "times_faster": {"eager": 8.0},
        "computes_in": {"eager": "FP32", "mine": "INT8"},
        "limit_ms": {"FP32": 320.0, "INT8": 7.6},
        "not_run": {"compiler": "no C++ compiler"},
    }
    assert peers_table({"rows": [row]}).splitlines()[2:] == [
        "| 360x480 | eager | FP32 | 1,640 | 8.0 times as fast | 20% |",
        "| 360x480 | mine | INT8 | 8.00 | **ours** | 95% |",
        "| 360x480 | compiler |  | not run: no C++ compiler |  |  |",
    ]


def test_a_row_of_patches_has_their_work_their_time_and_how_far_they_agree():
    row = {
        "question": "pool5 head, 100x200",
        "ours": "one pass",
        "median_ms": {"one pass": 10.0, "a patch at a time": 400.0, "16 patches at a time": 300.0},
        "times_faster": {"a patch at a time": 40.0, "16 patches at a time": 30.0},
        "patch": 212,
        "patches": 28,
        "multiply_adds": {"one pass": 2_000_000_000, "patches": 50_000_000_000},
        "agreement": {"scores": 28, "largest_difference": 1.5e-7, "labels_differ": 0},
        "extended_by_zeros": {"scores": 20, "largest_difference": 0.25, "labels_differ": 3},
    }
    head, _, line, _, *said = sliding_table({"rows": [row]}).splitlines()
    assert head.count("|") == line.count("|") == 9
    assert line == ("| pool5 head, 100x200 | 28 of 212x212 | 50.0 G, 2.00 G | 25 times | 400 | 300 | 10 | 30 times |")
    assert "28 scores, largest difference 1.5e-07 of the largest score, 0 labels differ" in " ".join(said)
    assert "3 of 20 border labels differ, scores by up to 0.25 of the largest" in " ".join(said)
