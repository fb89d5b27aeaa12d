"""The limits on hand-made sets: few false alarms on sets of one kind, and what is out is out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcn_deploy.drift.judge import DriftLimits, judge_appearance, judge_classes, judge_labels, judge_ranges
from fcn_deploy.quantization.calibration.image_profile import ImageProfile
from fcn_deploy.quantization.calibration.image_statistics import (
    ImageStatistics,
    LabelChanges,
    StatisticsCollector,
    count_beyond,
)

CLASSES = ("road", "car", "sky")
LIMITS = DriftLimits()


def streets(images: int, seed: int, *, like: int = 1) -> ImageStatistics:
    """A set of images, each with `like` near copies after it, as a video has: no two streets are alike."""
    generator = np.random.default_rng(seed)
    kinds = -(-images // like)

    def of_kind(low: float, high: float, width: int) -> np.ndarray:
        return np.repeat(generator.uniform(low, high, (kinds, width)), like, axis=0)[:images]

    shares = of_kind(0.2, 1.0, 3)
    beyond = np.exp(of_kind(-9, -6, 5)) * generator.uniform(0.9, 1.1, (images, 5))
    return ImageStatistics(
        ranges={f"relu{index}": (0.0, 1.0) for index in range(5)},
        values=np.full((images, 5), 1e5),
        beyond=1e5 * beyond,
        excess=np.full(5, 0.1),
        profile=ImageProfile(
            appearance=np.hstack([of_kind(70, 140, 1), of_kind(-10, 10, 1), of_kind(30, 60, 1), of_kind(8, 16, 1)]),
            sizes=np.tile([360, 480], (images, 1)),
            pixels=np.rint(1e5 * shares / shares.sum(axis=1, keepdims=True)).astype(np.int64),
        ),
    )


def alarm(today: ImageStatistics, before: ImageStatistics) -> bool:
    parts = [*judge_ranges(today, before, LIMITS), *judge_appearance(today.profile, before.profile, LIMITS)]
    return any(each.out for each in parts) or judge_classes(today.profile, before.profile, CLASSES, LIMITS).out


@pytest.mark.parametrize(("calibration", "today", "like"), [(100, 20, 1), (30, 12, 1), (30, 60, 1), (100, 40, 5)])
def test_at_most_5_of_100_sets_of_the_kind_are_out(calibration, today, like):
    alarms = sum(
        alarm(streets(today, 1000 + seed, like=like), streets(calibration, seed, like=like)) for seed in range(100)
    )
    assert alarms <= 5


def test_a_set_without_any_change_is_in_order():
    same = streets(40, 1)
    assert not alarm(same, same)
    assert judge_classes(same.profile, same.profile, CLASSES, LIMITS).distance == 0


def test_a_tensor_with_many_more_values_beyond_its_range_is_out_and_with_fewer_never():
    before = streets(60, 1)
    beyond = before.beyond.copy()
    beyond[:, 2] *= 40
    beyond[:, 3] = 0
    found = judge_ranges(replace(streets(60, 1), beyond=beyond), before, LIMITS)
    assert [each.name for each in found if each.out] == ["relu2"]
    assert found[2].today == pytest.approx(40 * found[2].calibration)
    least = replace(LIMITS, beyond=0.5)
    assert not any(each.out for each in judge_ranges(replace(before, beyond=beyond), before, least))


def test_a_class_that_vanished_is_named():
    before = streets(60, 1).profile
    pixels = before.pixels.copy()
    pixels[:, 0] += pixels[:, 2]
    pixels[:, 2] = 0
    found = judge_classes(replace(before, pixels=pixels), before, CLASSES, LIMITS)
    assert found.out
    assert [each.name for each in found.classes if each.moved] == ["road", "sky"]
    assert found.distance == pytest.approx(before.pixels[:, 2].sum() / before.pixels.sum())


@pytest.mark.parametrize(("column", "factor", "name"), [
    (0, 0.4, "brightness"), (2, 0.5, "contrast"), (3, 2.5, "detail"),
])  # fmt: skip
def test_other_looks_are_out(column, factor, name):
    before = streets(60, 1).profile
    looks = before.appearance.copy()
    looks[:, column] *= factor
    found = judge_appearance(replace(before, appearance=looks), before, LIMITS)
    assert [each.name for each in found if each.out] == [name]


def test_sizes_beyond_one_and_a_half_times_are_out():
    before = streets(20, 1).profile
    for factor, out in ((0.5, True), (0.7, False), (1.4, False), (2, True)):
        today = replace(before, sizes=(before.sizes * factor).astype(np.int64))
        assert [each.out for each in judge_appearance(today, before, LIMITS)[-2:]] == [out, out]


def changes(share: float, images: int = 20) -> LabelChanges:
    pixels = np.full((images, 3), 1000)
    return LabelChanges(np.full((images, 3), int(1000 * share)), pixels, 0.5)


def test_labels_are_out_above_twice_the_share_of_the_calibration():
    assert [each.out for each in judge_labels(changes(0.019), changes(0.01), LIMITS)] == [False] * 3
    assert [each.out for each in judge_labels(changes(0.021), changes(0.01), LIMITS)] == [True] * 3
    given = DriftLimits(differing=0.05)
    assert [each.out for each in judge_labels(changes(0.021), changes(0.01), given)] == [False, True, True]


def test_labels_may_differ_as_often_as_on_the_hardest_street_of_the_calibration():
    pixels = np.full((40, 3), 1000)
    differing = np.full((40, 3), 10)
    differing[:10] = 60  # ten frames of one street
    uneven = LabelChanges(differing, pixels, 0.5)
    assert not any(each.out for each in judge_labels(changes(0.055, 10), uneven, LIMITS))
    assert all(each.out for each in judge_labels(changes(0.12, 10), uneven, LIMITS))


def test_labels_have_one_limit_where_nothing_is_known_of_the_calibration():
    assert [each.out for each in judge_labels(changes(0.019), None, LIMITS)] == [False] * 3
    assert [each.out for each in judge_labels(changes(0.021), None, LIMITS)] == [True, False, False]
    assert judge_labels(None, changes(0.01), LIMITS) == ()


def test_values_outside_a_range_are_counted_with_the_farthest():
    assert count_beyond(np.array([-1.0, 0, 1, 2, 5]), 0.0, 2.0) == (5, 2, 1.5)
    assert count_beyond(np.array([0.5]), 0.0, 2.0) == (1, 0, 0.0)
    assert count_beyond(np.zeros(0), 0.0, 2.0) == (0, 0, 0.0)


def test_a_collector_counts_labels_that_another_network_gives_otherwise():
    found = StatisticsCollector({}, num_classes=3, margin=1.0, radius=1)
    reference = np.array([[0, 0, 0, 1], [0, 0, 0, 1]])
    labels = np.array([[0, 0, 2, 1], [2, 0, 0, 1]])
    found.add(np.zeros((2, 4, 3), np.uint8), {}, reference)
    found.add_changes(reference, labels, np.array([[2.0, 2, 0.5, 2], [2, 2, 2, 0.5]]))
    assert found.result().profile.pixels.tolist() == [[6, 2, 0]]
    counted = found.result().changes
    assert counted is not None
    assert counted.differing.tolist() == [[2, 1, 1]]
    assert counted.pixels.tolist() == [[8, 4, 2]]
