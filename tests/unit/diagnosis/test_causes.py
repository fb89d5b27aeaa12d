"""What a graph has stored, and the words for what differs."""

from __future__ import annotations

import math

import numpy as np

from fcn_deploy.card import ModelCard
from fcn_deploy.diagnosis.causes import coverage, normalisation_causes, weight_causes
from fcn_deploy.diagnosis.constants import (
    Normalisation,
    Parameters,
)
from tests.support.small_fcn import CARD

GENERATOR = np.random.default_rng(0)
WEIGHT, BIAS = GENERATOR.normal(size=(6, 4, 3, 3)), GENERATOR.normal(size=6)
BEFORE = Parameters(WEIGHT, BIAS)


def causes(weight: np.ndarray, bias: np.ndarray | None = BIAS) -> list[str]:
    return weight_causes(BEFORE, Parameters(weight, bias), 0.05)


def test_weights_within_the_bound_have_no_cause():
    assert causes(WEIGHT * 1.04) == []


def test_each_change_of_weights_has_its_own_words():
    assert causes(WEIGHT * -0.1) == ["its weights are -0.1 times those before"]
    assert causes(WEIGHT[:, ::-1]) == ["its weights are in the reverse order of the input channels"]
    two = WEIGHT.copy()
    two[[2, 5]] *= 0.1
    assert causes(two) == ["the weights of 2 of its 6 output channels are others (first: 2)"]
    assert causes(GENERATOR.normal(size=WEIGHT.shape))[0].startswith("its weights are others: they differ by 1")
    assert causes(WEIGHT[:, :2])[0].startswith("its weights have the shape (6, 2, 3, 3)")


def test_a_bias_that_is_changed_or_missing_is_reported():
    assert causes(WEIGHT, BIAS + 1) == causes(WEIGHT, None) == ["its bias is another"]
    assert weight_causes(Parameters(WEIGHT, None), Parameters(WEIGHT, np.zeros(6)), 0.05) == []


def test_what_is_covered_is_judged_on_the_worse_side():
    assert coverage((-1.0, 2.0), (-4.0, 4.0)) == 0.25
    assert coverage((-128.0, 127.0), (0.0, 254.0)) == 0.5
    assert coverage((0.0, 1.0), (-1.0, 1.0)) == 0
    assert coverage((-1.0, 1.0), (0.0, 0.0)) == math.inf


def test_normalisations_that_differ_are_reported_part_by_part():
    before = Normalisation.of_card(CARD)
    after = Normalisation.of_card(
        ModelCard("fcn8s", CARD.classes, mean=(120.0, 110.0, 101.0), std=CARD.std, channel_order="BGR")
    )
    assert normalisation_causes(before, before) == []
    assert normalisation_causes(before, None) == []
    assert normalisation_causes(before, after) == [
        "its channels are BGR, before they were RGB",
        "it subtracts the mean 120, 110, 101, before it was 120, 110, 100",
    ]
