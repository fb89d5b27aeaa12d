"""The result of the limits on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fcn_deploy.benchmark.gate.checks import GateCheck
from fcn_deploy.benchmark.gate.result import GateResult
from fcn_deploy.benchmark.report.badge import badge, limits_sheet
from fcn_deploy.benchmark.report.html import render_html
from tests.support.bench_records import RECORD

LIMIT = "--max-miou-drop 0.3"


def gate(*verdicts: str, strict: bool = False, errors: tuple[str, ...] = ()) -> GateResult:
    rows = tuple(f"row{place}" for place in range(len(verdicts)))
    checks = tuple(
        GateCheck(row, LIMIT, verdict, f"{row} is {verdict}") for row, verdict in zip(rows, verdicts, strict=True)
    )
    return GateResult("PyTorch", True, strict, checks, rows, errors)


@pytest.mark.parametrize(
    ("found", "word", "kind"),
    [
        (gate("passed", "broken"), "PASS", "passed"),
        (gate("broken"), "FAIL", "broken"),
        (gate("not judged"), "PASS", "doubtful"),
        (gate("not judged", strict=True), "FAIL", "doubtful"),
        (gate("passed", errors=("row9: failed: no memory",)), "FAIL", "broken"),
    ],
)
def test_the_badge_is_the_first_line_of_the_page_and_in_doubt_where_a_limit_was_not_judged(found, word, kind):
    assert (badge(found).word, badge(found).kind) == (word, kind)
    page = render_html(RECORD, gate=found)
    shown = f'<p class="gate {kind}" role="status"><strong>{word}</strong>'
    assert page.index(shown) < page.index("<h1>")


def test_every_limit_of_every_row_is_in_a_table():
    found = gate("passed", "broken", errors=("row9: failed: no memory: 3 GiB",))
    assert limits_sheet(found).rows == (
        ("row0", "passed", LIMIT, "row0 is passed"),
        ("row1", "broken", LIMIT, "row1 is broken"),
        ("row9", "failed", "it has to run", "no memory: 3 GiB"),
    )
    two = replace(found, checks=tuple(replace(check, row="one") for check in found.checks), errors=())
    assert [row[0] for row in limits_sheet(two).rows] == ["one", ""]
    assert "see above" not in badge(gate("broken", "broken")).reason


def test_without_limits_there_is_no_badge():
    page = render_html(RECORD)
    assert 'class="gate' not in page
    assert "Limits" not in page
