"""The page of `evaluate`."""

from __future__ import annotations

from dataclasses import replace

from fcn_deploy.evaluation.page import render_page
from fcn_deploy.evaluation.report import AccuracyComparison, ComparedAccuracy
from fcn_deploy.metrics.bootstrap import Interval
from tests.support.accuracy_report import accuracy_report

EVIL = "<script>alert(1)</script>"


def test_the_page_of_a_file_has_its_tables_and_its_confusion_matrix():
    page = render_page(accuracy_report())
    assert "m.onnx: mIoU 70.00\u00a0%, Dice 50.00\u00a0%" in page
    for cell in ("<td>85.00</td>", "<td>35.00</td>", "mean precision", "<td>3,102</td>"):
        assert cell in page
    assert "road predicted as pole: 102 of 3,102 pixels (3.29%)" in page
    assert ">Files<" not in page


def test_the_page_of_several_files_compares_them_and_says_which_were_not_run():
    report = accuracy_report()
    files = (
        ComparedAccuracy("m.onnx", report),
        ComparedAccuracy("n.onnx", replace(report, model="n.onnx"), "", Interval(-1.5, -2, -1), 3, 4),
        ComparedAccuracy("e.engine", None, "no GPU"),
    )
    page = render_page(AccuracyComparison(files))
    assert page.count("Confusion matrix") == 2
    for words in ("<td>-1.50 (-2.00 to -1.00)</td>", "<td>75.000</td>", "e.engine was not run: no GPU"):
        assert words in page


def test_what_a_user_named_is_text():
    assert "<script" not in render_page(replace(accuracy_report(), model=EVIL, classes=(EVIL, EVIL), data=EVIL))
