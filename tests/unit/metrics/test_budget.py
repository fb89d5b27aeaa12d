"""What a file may lose, and the rule that judges it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fcn_deploy.errors import FcnDeployError, UnknownNameError
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.budget import (
    AccuracyBudget,
    ImageCounts,
    judge,
    judge_loss,
    least_allowed,
    not_judged,
    parse_class_drops,
)

CLASSES = ("sky", "pole", "car")


def counts(lost, boundary=True) -> ImageCounts:
    """1000 pixels of sky and 100 of pole an image; of pole `lost[i]` are called sky. No car."""
    overall = np.zeros((len(lost), 3, 3), np.int64)
    overall[:, 0, 0] = 1000
    overall[:, 1, 1] = 100 - np.asarray(lost)
    overall[:, 1, 0] = lost
    return ImageCounts(overall, overall.copy() if boundary else None, len(lost))


def verdicts(after, budget, before=None):
    before = counts([5] * after.images) if before is None else before
    return [found.verdict for found in judge(before, after, budget, CLASSES)]


@pytest.mark.parametrize(
    ("value", "low", "high", "allowed", "expected"),
    [
        (0.5, 0.1, 0.9, 0.3, "broken"),
        (0.5, -0.1, 1.1, 0.3, "not judged"),  # may be no loss
        (0.2, -0.1, 0.5, 0.3, "passed"),
        (0.2, -0.3, 0.7, 0.3, "not judged"),  # may be twice the budget
        (0.0, 0.0, 0.0, 0.0, "passed"),
        (0.3, 0.2, 0.4, 0.3, "passed"),
        (0.31, None, None, 0.3, "broken"),
        (0.29, None, None, 0.3, "passed"),
        (-1.2, -1.4, -1.0, -1.0, "passed"),  # a gain of 1 is asked for
        (-0.8, -0.9, -0.7, -1.0, "broken"),
        (-0.8, -2.4, 0.8, -1.0, "not judged"),
    ],
)
def test_a_loss_is_broken_beyond_the_budget_and_passed_where_twice_the_budget_is_excluded(
    value, low, high, allowed, expected
):
    assert judge_loss(Interval(value, low, high), allowed) == expected


@pytest.mark.parametrize("value", [-1.5, -0.2, 0.0, 0.2, 1.0])
@pytest.mark.parametrize("half_width", [None, 0.0, 0.1, 0.5, 3.0])
def test_the_fewest_points_that_are_passed_are_passed_and_a_little_less_is_not(value, half_width):
    loss = Interval(value) if half_width is None else Interval(value, value - half_width, value + half_width)
    least = least_allowed(loss)
    assert judge_loss(loss, least) == "passed"
    assert judge_loss(loss, least - 1e-6) != "passed"


def test_a_budget_and_a_judgement_are_written_as_they_are_typed_and_read():
    budget = AccuracyBudget(0.3, None, {"pole": 1.0, "car": 0.5})
    assert budget.words == "--max-miou-drop 0.3 --max-class-drop pole=1,car=0.5"
    (found,) = judge(counts([5] * 9), counts([5] * 9), AccuracyBudget(0.3), CLASSES)
    assert found.line.startswith("passed: mean IoU did not change, ")


def test_each_limit_is_judged_on_its_own():
    after = counts([9, 10, 11, 10] * 5)  # pole: 95 of 100 before, 90 after
    budget = AccuracyBudget(3.0, 1.0, {"pole": 4.0, "sky": 1.0})
    found = judge(counts([5] * 20), after, budget, CLASSES)
    assert [(each.limit.words, each.verdict) for each in found] == [
        ("--max-miou-drop 3", "passed"),
        ("--max-boundary-drop 1", "broken"),
        ("--max-class-drop pole=4", "broken"),
        ("--max-class-drop sky=1", "passed"),
    ]
    assert found[2].loss.value == pytest.approx(5)
    assert found[2].sentence.startswith(
        "IoU of pole fell by 5.00 points, 95.00 to 90.00 (95 % interval over 20 images: "
    )
    assert found[2].sentence.endswith("; at most 4 are allowed")


def test_too_few_images_are_not_judged_and_the_sentence_says_what_they_cannot_exclude():
    after = counts([25, 0, 0, 0, 0])  # of 25 pixels as before, in one image
    (found,) = judge(counts([0] * 5), after, AccuracyBudget(class_drops={"pole": 4.0}), CLASSES)
    assert (found.verdict, found.loss.value) == ("not judged", pytest.approx(5))
    assert found.sentence.endswith("; at most 4 are allowed, and 5 images cannot exclude no loss at all")
    (found,) = judge(counts([0] * 5), after, AccuracyBudget(class_drops={"pole": 6.0}), CLASSES)
    assert found.sentence.endswith("; at most 6 are allowed, and 5 images cannot exclude a loss of 12 points")


def test_identical_labels_pass_any_budget_even_on_one_image():
    for images in (1, 2, 50):
        assert verdicts(counts([5] * images), AccuracyBudget(0.0, 0.0, {"pole": 0.0})) == ["passed"] * 3


def test_without_counts_of_each_image_the_bare_difference_decides():
    whole = counts([10] * 20)
    total = ImageCounts(whole.overall.sum(axis=0)[None], None, 20)
    (found,) = judge(counts([5] * 20), total, AccuracyBudget(0.3), CLASSES)
    assert (found.verdict, found.loss.low) == ("broken", None)
    assert "(the bare difference: no counts of each image on both sides)" in found.sentence


def test_what_is_not_in_the_ground_truth_or_was_not_counted_is_not_judged():
    budget = AccuracyBudget(None, 0.5, {"car": 1.0})
    found = judge(counts([5] * 9, boundary=False), counts([5] * 9, boundary=False), budget, CLASSES)
    assert [(each.verdict, each.loss) for each in found] == [("not judged", None)] * 2
    assert found[0].sentence.startswith("boundary mean IoU: pixels near label changes were not counted")
    assert found[1].sentence == "IoU of car: the ground truth has no pixel of it; at most 1 are allowed"
    assert not_judged(budget, "no label maps")[1].sentence == "IoU of car: no label maps; at most 1 are allowed"


def test_a_gain_is_called_one_and_passes():
    (found,) = judge(counts([10] * 20), counts([5] * 20), AccuracyBudget(0.3), CLASSES)
    assert found.verdict == "passed"
    assert found.sentence.startswith("mean IoU rose by 2.")
    low, high = map(float, re.findall(r"images: (\S+) to (\S+)\)", found.sentence)[0])
    assert 0 < low <= high < 5  # a gain as well


def test_a_class_that_the_model_lacks_is_an_error_with_the_near_name_and_the_list():
    budget = AccuracyBudget(class_drops={"pola": 1.0})
    with pytest.raises(UnknownNameError, match=r"unknown class 'pola'; did you mean pole\? \(known: car, pole, sky\)"):
        judge(counts([5]), counts([5]), budget, CLASSES)


def test_class_drops_are_parsed():
    assert parse_class_drops("pole=1, car = 0.5") == {"pole": 1.0, "car": 0.5}
    assert parse_class_drops("traffic=sign=2") == {"traffic=sign": 2.0}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "it names no class"),
        ("pole", "'pole' is not CLASS=POINTS"),
        ("pole=", "'pole=' is not"),
        ("pole=1%", "is not CLASS=POINTS"),
        ("pole=-1", "is not CLASS=POINTS"),
        ("pole=101", "is not CLASS=POINTS"),
        ("=1", "'=1' is not"),
        ("pole=1,pole=2", "class 'pole' has two limits"),
    ],
)
def test_class_drops_written_wrongly_are_errors(text, found):
    with pytest.raises(FcnDeployError, match=found):
        parse_class_drops(text)


def test_a_budget_without_limits_is_false():
    assert not AccuracyBudget()
    assert AccuracyBudget(miou_drop=0.0)
    assert AccuracyBudget(class_drops={"pole": 1.0})
