"""The gate's result: what breaks, what passes, what is not known, and the files and lines that say so."""

from __future__ import annotations

import os
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from fcn_deploy.benchmark.gate.checks import GateCheck, check_lines
from fcn_deploy.benchmark.gate.github import add_summary, annotation_lines, in_actions
from fcn_deploy.benchmark.gate.junit import render_junit
from fcn_deploy.benchmark.gate.reference import checks_against_reference
from fcn_deploy.benchmark.gate.result import GateResult, gate_result
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import Accuracy
from fcn_deploy.benchmark.report.answer import answer_lines
from fcn_deploy.benchmark.verdicts.answer import answer
from fcn_deploy.errors import OutputError, UnknownNameError
from fcn_deploy.metrics.budget import AccuracyBudget
from tests.support.bench_records import RECORD, bench_row, latency
from tests.support.junit_schema import faults

IMAGES = 12
BUDGET = AccuracyBudget(0.3)


def accuracy(lost: int, near: int = 0) -> Accuracy:
    """12 images: 100 pixels of either class; of class 0 `lost` are wrong, near label changes `near` of 20."""
    each, edge = ((100 - lost, lost), (0, 100)), ((20 - near, near), (0, 20))
    whole, around = (tuple(tuple(int(n) for n in line) for line in IMAGES * np.array(one)) for one in (each, edge))
    return Accuracy(whole, around, IMAGES, (each,) * IMAGES, (edge,) * IMAGES)


def record(*lost: int, **changes) -> rec.Record:
    """PyTorch with 10 pixels wrong, and a row for each number, each faster than the one before."""
    rows = [bench_row("pytorch", latency=latency((37,) * 4), accuracy=accuracy(10))]
    rows += [
        bench_row(f"row{index}", latency=latency((30 - index,) * 4), accuracy=accuracy(count))
        for index, count in enumerate(lost)
    ]
    data = replace(RECORD.data, images=IMAGES, labelled=IMAGES)
    reference = rec.Reference("pytorch", accuracy(10))
    return replace(RECORD, rows=tuple(rows), data=data, reference=reference, **changes)


def result(found: rec.Record, budget: AccuracyBudget = BUDGET, *, strict: bool = False) -> GateResult:
    return gate_result(found, checks_against_reference(found, budget), strict=strict)


def test_one_row_within_the_limits_is_enough_and_the_fastest_of_them_is_named():
    found = result(record(10, 10, 20))
    assert (found.exit_code, found.badge, found.row) == (0, "PASS", "row1")
    assert found.line == "PASS: row1: within --max-miou-drop 0.3 of PyTorch; broken by row2"
    assert found.broken[0].startswith("row2: mean IoU fell by 8.79 points, 90.45 to 81.67")


@pytest.mark.parametrize(
    ("lost", "budget"),
    [
        ((10, 10, 20), BUDGET),
        ((10, 10, 20), AccuracyBudget(9.0)),
        ((11, 20), AccuracyBudget(class_drops={RECORD.data.classes[0]: 2})),
    ],
)
def test_the_answer_names_the_row_that_the_gate_names(lost, budget):
    found = record(*lost)
    named = answer(found, budget)
    assert named.row == result(found, budget).row
    assert named.limits == tuple(limit.words for limit in budget.limits)
    places = range(len(lost) - 1, int(named.row.removeprefix("row")), -1)
    assert [other.row for other in named.harmed] == [f"row{place}" for place in places]


def test_the_answer_gives_the_reason_of_a_row_that_breaks_a_limit():
    found = record(20, 30)
    named = answer(found, BUDGET)
    assert (named.row, named.is_reference) == ("pytorch", True)
    assert [other.proven for other in named.harmed] == [True, True]
    assert named.harmed[0].reason.startswith("mean IoU fell by")
    lines = [(line.label, line.text) for line in answer_lines(named)]
    assert ("broken", f"row1: {named.harmed[0].reason}") in lines


def test_where_no_row_is_within_the_limits_the_answer_names_them():
    found = record(20, 30)
    named = answer(replace(found, rows=found.rows[1:]), BUDGET)
    assert answer_lines(named)[0].text == "none: each row that was timed breaks --max-miou-drop 0.3"


def test_no_row_within_the_limits_ends_with_3_and_the_reason():
    found = result(record(20, 30))
    assert (found.exit_code, found.badge, found.row) == (3, "FAIL", None)
    assert found.line.startswith("FAIL: broken against PyTorch: row0: mean IoU fell by")
    assert found.line.endswith("at most 0.3 are allowed (and 1 more, see above)")


def test_boundary_and_classes_have_limits_of_their_own():
    budget = AccuracyBudget(boundary_drop=0.5, class_drops={"pole": 1.0})
    worse = record(10)
    edge = replace(worse.rows[1].own, accuracy=accuracy(10, near=5))
    found = result(replace(worse, rows=(worse.rows[0], replace(worse.rows[1], measurements=(edge,)))), budget)
    assert [(check.limit, check.verdict) for check in found.checks] == [
        ("--max-boundary-drop 0.5", "broken"),
        ("--max-class-drop pole=1", "passed"),
    ]


def test_against_a_baseline_every_row_has_to_hold():
    checks = (
        GateCheck("a", "--max-miou-drop 1", "passed", "fine"),
        GateCheck("b", "--max-miou-drop 1", "broken", "bad"),
    )
    found = gate_result(record(10), checks, baseline="2026-01-02")
    assert (found.exit_code, found.line) == (3, "FAIL: broken against the baseline of 2026-01-02: b: bad")
    kept = gate_result(record(10), checks[:1], baseline="2026-01-02")
    assert kept.line == "PASS: a: no worse than the baseline of 2026-01-02 by --max-miou-drop 1"


def test_what_is_not_judged_passes_with_a_remark_and_fails_if_strict():
    found = replace(record(10), reference=None)
    lenient, strict = result(found), result(found, strict=True)
    assert (lenient.exit_code, strict.exit_code) == (0, 4)
    assert lenient.line.endswith(", but not every limit was judged (see above)")
    assert strict.line.startswith("FAIL: not judged: pytorch, row0: mean IoU: there is no reference (")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": replace(RECORD.data, labelled=0)}, "the images have no label maps"),
        ({"rows": record().rows}, "there is no row to compare with PyTorch (--runners)"),
        ({"rows": (*record().rows, rec.Row("tensorrt", "skipped", "no GPU"))}, "skipped: no GPU"),
    ],
)
def test_each_reason_for_not_judging_is_given(changes, reason):
    found = result(replace(record(10), **changes), strict=True)
    assert found.exit_code == 4
    assert reason in found.line


def test_a_row_that_another_one_makes_up_for_is_no_reason_to_fail_strictly():
    found = record(10)
    found = replace(found, rows=(*found.rows, rec.Row("tensorrt", "skipped", "no GPU")))
    assert result(found, strict=True).line == "PASS: row0: within --max-miou-drop 0.3 of PyTorch"


def test_a_row_that_failed_is_the_last_line_with_code_1():
    found = record(10)
    found = replace(found, rows=(*found.rows, rec.Row("openvino", "failed", "out of memory")))
    assert (result(found).exit_code, result(found).line) == (1, "FAIL: openvino: failed: out of memory")


def test_a_class_that_is_not_there_is_an_error():
    with pytest.raises(UnknownNameError, match="did you mean pole"):
        checks_against_reference(record(10), AccuracyBudget(class_drops={"pol": 1.0}))


def test_rows_with_one_sentence_share_a_line():
    checks = [GateCheck(row, "--max-slowdown 5%", "not judged", "busy") for row in ("a", "b", "a")]
    assert check_lines(checks, "not judged") == ("a, b: busy",)


def test_the_json_has_the_word_the_row_and_each_check():
    found = result(record(10, 20)).to_plain()
    assert (found["verdict"], found["row"], found["exit_code"]) == ("PASS", "row0", 0)
    assert [check["verdict"] for check in found["checks"]] == ["passed", "broken"]
    assert found["checks"][1]["loss"]["value"] == pytest.approx(8.79, abs=0.01)


def test_the_junit_file_has_a_test_for_each_row_and_limit_and_counts_them():
    found = replace(record(10, 20), model=replace(RECORD.model, name='a<&"\x07>.onnx'))
    found = replace(found, rows=(*found.rows, rec.Row("openvino", "failed", "line 1\nline 2")))
    budget = AccuracyBudget(0.3, None, {"pole": 1.0})
    text = render_junit(found, result(found, budget))
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ')
    (suite,) = ET.fromstring(text)
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [
        *(
            f"{row} {limit}"
            for row in ("row0", "row1", "openvino")
            for limit in ("--max-miou-drop 0.3", "--max-class-drop pole=1")
        ),
        "openvino runs",
    ]
    assert {case.get("classname") for case in cases} == {'fcn-deploy.a<&"\\x07>.onnx'}
    assert [case[0].tag for case in cases] == [
        "system-out", "system-out", "failure", "failure", "skipped", "skipped", "error",
    ]  # fmt: skip
    figures = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time", "timestamp")}
    assert figures == {
        "tests": "7", "failures": "2", "errors": "1", "skipped": "2", "time": "0", "timestamp": "2026-01-02T03:04:05",
    }  # fmt: skip
    assert cases[-1].find("error").get("message") == "failed: line 1\nline 2"


@pytest.mark.parametrize("strict", [False, True])
def test_the_junit_file_follows_the_schema_that_ci_servers_read(strict):
    failed = rec.Row("openvino", "failed", "out of memory\x00")
    for found in (record(10), record(10, 20), replace(record(10), reference=None)):
        for rows in (found.rows, (*found.rows, failed)):
            judged = replace(found, rows=rows)
            assert faults(render_junit(judged, result(judged, strict=strict))) == []


def test_the_check_of_the_schema_finds_what_is_wrong():
    wrong = (
        '<testsuites><testsuite tests="2" time="x"><system-out/><testcase><note/></testcase></testsuite></testsuites>'
    )
    assert faults(wrong) == [
        "testsuite time='x'",
        "testsuite without name",
        "children of testsuite: ['system-out', 'testcase']",
        "testcase without name",
        "children of testcase: ['note']",
        "unknown element note",
        "tests=2, counted 1",
    ]


def test_strict_turns_what_was_not_judged_into_a_failure_of_the_junit_file():
    found = replace(record(10), reference=None)
    for strict, tag in ((False, "skipped"), (True, "failure")):
        (suite,) = ET.fromstring(render_junit(found, result(found, strict=strict)))
        assert {case[0].tag for case in suite.findall("testcase")} == {tag}


def test_annotations_are_escaped_as_github_reads_them():
    checks = (
        GateCheck("a:b,c", "--max-miou-drop 1", "broken", "fell by 5 %\r\nbadly"),
        GateCheck("d", "--max-miou-drop 1", "not judged", "busy"),
    )
    found = gate_result(record(10), checks, baseline="2026-01-02")
    assert annotation_lines(found) == (
        "::error title=fcn-deploy%3A limit broken::a:b,c: fell by 5 %25%0D%0Abadly",
        "::warning title=fcn-deploy%3A limit not judged::d: busy",
    )
    assert annotation_lines(replace(found, strict=True))[1].startswith("::error ")
    assert in_actions({"GITHUB_ACTIONS": "true"})
    assert not in_actions({"GITHUB_ACTIONS": "false"})


def test_the_page_of_a_job_is_appended_to_and_only_there(tmp_path):
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    found = result(record(10))
    add_summary({"GITHUB_STEP_SUMMARY": str(page)}, found, lambda: "# tables")
    assert page.read_text() == "before\n"
    actions = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
    add_summary(actions, found, lambda: "# tables")
    assert page.read_text() == f"before\n**{found.line}**\n\n# tables\n"
    with pytest.raises(OutputError):
        add_summary(actions | {"GITHUB_STEP_SUMMARY": str(tmp_path)}, found, lambda: "")
    os.mkfifo(tmp_path / "pipe")  # that nobody reads
    with pytest.raises(OutputError, match=r"cannot write .*pipe"):
        add_summary(actions | {"GITHUB_STEP_SUMMARY": str(tmp_path / "pipe")}, found, lambda: "")
