"""The choice among trials: the fewest slips that explain about as much, and a name only above the limits."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.diagnosis.slips.search import Trial, share
from fcn_deploy.diagnosis.slips.slip import ForeignFrame, Slip
from fcn_deploy.diagnosis.slips.text import verdict
from fcn_deploy.diagnosis.slips.verdict import judge

HALVES = np.repeat(np.array([[0, 1]], np.uint8), 8, 0).repeat(4, 1)
IMAGE = np.zeros((8, 8, 3), np.uint8)
ONE, TWO = (Slip(name, f"undo {name}", "values") for name in ("one", "two"))


def report(plain: float, alone: float, pair: float, labels: np.ndarray = HALVES):
    trials = [Trial((ONE, TWO), "one and two", pair), Trial((ONE,), "one", alone), Trial((), "", plain)]
    ordered = sorted(trials, key=lambda trial: -trial.share)
    return judge(ordered, [ForeignFrame("a", IMAGE, None, labels)], "a.onnx", "maps", 3)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.5, 0.99, 0.992), ("explained", "one")),  # the second slip adds next to nothing
        ((0.5, 0.8, 0.99), ("explained", "one and two")),
        ((0.99, 0.99, 0.991), ("same", "one")),
        ((0.9, 0.92, 0.93), ("unexplained", "one")),
        ((0.1, 0.7, 0.79), ("unexplained", "one and two")),
    ],
)
def test_verdicts(shares: tuple[float, float, float], expected: tuple[str, str]):
    found = report(*shares)
    assert (found.verdict, found.tried[0].name) == expected
    assert found.to_plain()["explained_by"] == (expected[1] if expected[0] == "explained" else None)


def test_one_label_everywhere_is_explained_by_nothing():
    found = report(0.1, 1.0, 1.0, np.zeros_like(HALVES))
    assert found.verdict == "unexplained"
    assert verdict(found)[0].startswith("unexplained: the label maps hold one label in 100.0 % of their pixels")


def test_the_verdict_in_words():
    assert verdict(report(0.5, 0.99, 0.992)) == ["explained by: one, 99.0 %", "fix: undo one"]
    assert verdict(report(0.99, 0.99, 0.991)) == ["no slip: 99.0 % of the labels are the reference's as they are"]
    assert verdict(report(0.9, 0.92, 0.93))[0].endswith("as they are; the best try explains 92.0 %")


def test_shares_of_maps_of_two_sizes():
    small, wide = HALVES[::2, ::2], np.zeros((4, 8), np.uint8)
    turned = wide.T.astype(np.int32)
    assert share(HALVES, small, (8, 8), (4, 4), (8, 8)) == 1.0
    assert share(HALVES.astype(np.int32) + 256, HALVES, (8, 8), (8, 8), (8, 8)) == 1.0  # written as uint8
    assert share(turned, wide, (8, 4), (4, 8), (4, 8)) == 0.0  # turned
    assert share(turned, wide, (8, 4), (4, 8), (4, 8), fixed=False) == 1.0  # resized


def test_explanations_with_the_same_share_are_all_named():
    trials = [Trial((ONE,), "one", 0.99), Trial((TWO,), "two", 0.9895), Trial((), "", 0.3)]
    found = judge(trials, [ForeignFrame("a", IMAGE, None, HALVES)], "a.onnx", "maps", 3)
    assert found.explained_by == "one, or two"
    assert verdict(found)[0] == "explained by: one, or two, 99.0 %"


def test_a_map_whose_side_is_the_number_of_classes_needs_a_smaller_share():
    rows = Slip("arg max over the rows", "fix", "scores", along_side=True)
    trials = [Trial((rows,), rows.name, 0.3), Trial((), "", 0.0)]
    found = judge(trials, [ForeignFrame("a", IMAGE, None, HALVES)], "a.onnx", "maps", 3)
    assert found.explained_by == "arg max over the rows"
