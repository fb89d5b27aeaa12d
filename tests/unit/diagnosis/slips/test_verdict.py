"""The choice among trials: the fewest slips that explain about as much, and a name only above the limits."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.diagnosis.slips.report import SlipReport
from fcn_deploy.diagnosis.slips.search import Trial
from fcn_deploy.diagnosis.slips.slip import ForeignFrame, Slip
from fcn_deploy.diagnosis.slips.text import verdict
from fcn_deploy.diagnosis.slips.verdict import judge

HALVES = np.repeat(np.array([[0, 1]], np.uint8), 8, 0).repeat(4, 1)
IMAGE = np.zeros((8, 8, 3), np.uint8)
ONE, TWO, THREE, FOUR = (Slip(name, f"undo {name}", "values") for name in ("one", "two", "three", "four"))


def trial(share: float, *slips: Slip, noise: float = 0.0) -> Trial:
    """Return a trial whose 100 blocks are by `noise` above and below its share, in turn."""
    blocks = share + noise * np.tile([1.0, -1.0], 50)
    return Trial(slips, " and ".join(slip.name for slip in slips), share, blocks)


def judged(*trials: Trial) -> SlipReport:
    ordered = sorted(trials, key=lambda trial: -trial.share)
    return judge(ordered, [ForeignFrame("a", IMAGE, None, HALVES)], "a.onnx", "maps", 3)


def report(plain: float, alone: float, pair: float, labels: np.ndarray = HALVES):
    ordered = sorted([trial(pair, ONE, TWO), trial(alone, ONE), trial(plain)], key=lambda trial: -trial.share)
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


def test_explanations_that_no_one_can_tell_apart_are_named_together():
    found = judged(trial(0.99, ONE), trial(0.985, TWO, noise=0.03), trial(0.97, THREE, noise=0.01), trial(0.3))
    assert found.explained_by == "one, or two"
    assert verdict(found)[0] == "explained by: one, or two, 99.0 %"


def test_too_many_pairs_that_are_alike_leave_the_single_slip():
    pairs = [trial(0.995, ONE, other) for other in (TWO, THREE, FOUR)]
    assert judged(*pairs, trial(0.97, ONE), trial(0.3)).explained_by == "one and two, or one and three, or one and four"
    many = [*pairs, trial(0.995, TWO, THREE)]
    assert judged(*many, trial(0.97, ONE), trial(0.3)).explained_by == "one"
    assert judged(*many, trial(0.7, ONE), trial(0.3)).verdict == "unexplained"


def test_no_pair_is_named_where_one_label_is_nearly_all():
    labels = np.zeros((10, 10), np.uint8)
    labels[0, :2] = 1  # 2 %
    trials = [trial(0.999, ONE, TWO), trial(0.995, ONE), trial(0.1)]
    assert judge(trials, [ForeignFrame("a", IMAGE, None, labels)], "a", "maps", 3).explained_by == "one"
