"""The places of names in a plot."""

from __future__ import annotations

from itertools import combinations

from fcn_deploy.benchmark.report.plots.labels import overlap, placed

BOUNDS = (40.0, 30.0, 360.0, 300.0)


def marks(spots):
    return [(x - 7, y - 7, x + 7, y + 7) for x, y in spots]


def test_names_of_points_at_one_place_cover_neither_marks_nor_each_other():
    spots = [(150.0 + place, 150.0) for place in range(12)]
    labels = placed([(f"onnxruntime:{place}", spot) for place, spot in enumerate(spots)], marks(spots), BOUNDS)
    boxes = [label.box for label in labels]
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
    assert not any(overlap(box, mark) for box in boxes for mark in marks(spots))
    assert all(box[0] >= 40 and box[1] >= 30 and box[2] <= 360 and box[3] <= 300 for box in boxes)


def test_a_name_apart_from_its_point_has_a_line_to_it():
    spots = [(150.0, 150.0)] * 12
    labels = placed([("onnxruntime", spot) for spot in spots], marks(spots), BOUNDS)
    assert labels[0].pointer is None
    apart = [label for label in labels if label.pointer is not None]
    assert apart
    for label in apart:
        (x, y), (end_x, end_y) = label.pointer
        assert (x, y) == (150.0, 150.0)
        assert label.box[0] - 2 <= end_x <= label.box[2] + 2
        assert label.box[1] <= end_y <= label.box[3]
    assert "pointer" in apart[0].drawn()


def test_a_name_wider_than_the_plot_starts_at_its_left_edge():
    (label,) = placed([("x" * 90, (150.0, 150.0))], [], BOUNDS)
    assert label.box[0] == 40.0
