"""Whether an engine is that of its options and of its file."""

from __future__ import annotations

from fcn_deploy.engine.freshness import differences


def test_differences_name_both_values_and_shorten_hashes():
    before, now = {"model": "a" * 64, "options": {}, "old": "x"}, {"model": "b" * 64, "options": {"tf32": False}}
    assert differences(before, now) == (
        "model was aaaaaaaaaaaa..., now bbbbbbbbbbbb...",
        'options was none, now {"tf32": false}',
        "old was x, now none",
    )
