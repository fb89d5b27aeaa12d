"""Which passes of a search are within a budget, and how far the others are from it."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.errors import DataError, FcnDeployError
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.quantization.search.images import PassResult
from fcn_deploy.quantization.search.judging import PassJudge, share_of_limit
from fcn_deploy.quantization.search.options import SearchOptions

CLASSES = ("sky", "pole", "car")


def measured(pole, sky=0) -> PassResult:
    """1000 pixels of sky and 100 of pole an image; `pole[i]` of pole are called sky, `sky` of sky pole. No car."""
    overall = np.zeros((len(pole), 3, 3), np.int64)
    overall[:, 0, 0], overall[:, 0, 1] = 1000 - sky, sky
    overall[:, 1, 1] = 100 - np.asarray(pole)
    overall[:, 1, 0] = pole
    return PassResult(overall, overall // 2, PixelShare(1, 1), 1.0, 1.0)


def judge(budget: AccuracyBudget, images: int = 20) -> PassJudge:
    return PassJudge(budget, CLASSES, measured([0] * images))


def test_a_pass_is_within_the_budget_if_every_limit_is_passed():
    budget = AccuracyBudget(4.0, None, {"pole": 6.0})
    assert judge(budget).passes(measured([5] * 20))  # pole loses 5, the mean 2.75 of two classes
    assert not judge(budget).passes(measured([7] * 20))
    # In one image of five: what is measured is allowed, and twice the budget is not excluded.
    assert not judge(AccuracyBudget(None, None, {"pole": 6.0}), 5).passes(measured([25, 0, 0, 0, 0]))


def test_the_hardest_limit_is_that_of_which_the_largest_share_is_lost():
    found = judge(AccuracyBudget(4.0, None, {"pole": 6.0, "sky": 0.2})).hardest(measured([5] * 20))
    assert found.limit.words == "--max-class-drop sky=0.2"
    assert share_of_limit(found) == pytest.approx((100 - 100 * 1000 / 1005) / 0.2)
    assert judge(AccuracyBudget(0.0)).hardest(measured([5] * 20)).limit.allowed == 0


def test_the_budget_that_is_advised_is_passed_and_no_limit_of_it_is_narrower():
    budget = AccuracyBudget(1.0, 50.0, {"pole": 1.0, "sky": 30.0})
    for far in (measured([5, 9, 2, 0, 30] * 4), measured([3] * 20, sky=40), measured([25] + [0] * 19)):
        wider = judge(budget).wider(far)
        assert judge(wider).passes(far)
        assert (wider.boundary_drop, wider.class_drops["sky"]) == (50, 30)
        assert wider.words.startswith(
            f"--max-miou-drop {wider.miou_drop:g} --max-boundary-drop 50 --max-class-drop pole="
        )
        assert 0 < judge(budget).missing(far) < 100
    assert judge(budget).missing(measured([0] * 20)) < 0


def test_a_limit_on_a_class_without_a_pixel_is_refused():
    with pytest.raises(
        DataError, match="IoU of car: the ground truth has no pixel of it; at most 1 are allowed; leave"
    ):
        judge(AccuracyBudget(None, None, {"car": 1.0})).check()
    judge(AccuracyBudget(0.3, 0.3, {"pole": 1.0})).check()


def test_a_search_needs_a_limit():
    with pytest.raises(FcnDeployError, match="a search needs a limit"):
        SearchOptions("val.txt")
    assert SearchOptions("val.txt", max_class_drop={"pole": 1}).budget.words == "--max-class-drop pole=1"
