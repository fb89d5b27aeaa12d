"""Accuracy as tables."""

from __future__ import annotations

import io

from rich.console import Console

from fcn_deploy.evaluation.text import render as render_accuracy
from tests.support.accuracy_report import accuracy_report


def test_the_accuracy_json_has_null_for_an_absent_class():
    plain = accuracy_report().to_plain()
    assert plain["overall"]["per_class_iou"] == [0.75, None]
    assert plain["overall"]["mean_iou"] == 0.7
    assert plain["overall"]["per_class_precision"] == [0.65, None]
    assert plain["boundary_iou"] == {"mean": 0.35, "per_class": [0.35, None]}
    assert plain["confusion"] == [[3000, 102], [0, 0]]


def printed(content, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(content)
    return stream.getvalue()


def line_of(text: str, start: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(start)).split()


def test_the_accuracy_tables_hold_four_metrics_and_every_class():
    text = printed(render_accuracy(accuracy_report()))
    assert line_of(text, "frequency weighted IoU")[-3:] == ["60.00"] * 3
    assert line_of(text, "pixel accuracy")[-3:] == ["90.00"] * 3
    assert line_of(text, "pixels") == ["pixels", "3,102", "3,102", "3,102"]
    assert line_of(text, "road") == ["road", "75.00", "75.00", "75.00", "85.00", "65.00", "95.00", "35.00"]
    assert line_of(text, "pole") == ["pole", *"-------"]
    assert line_of(text, "mean Dice")[-3:] == ["50.00"] * 3
    assert line_of(text, "mean precision")[-3:] == ["40.00"] * 3
    assert line_of(text, "mean Boundary IoU")[-1] == "35.00"
    assert "2 images of list.txt, 1 left out" in text
    assert max(map(len, printed(render_accuracy(accuracy_report()), width=80).splitlines())) <= 80
