"""Sizes that a network gets, and a runner behind them."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.choice.sizes import InputSize, ResizedRunner, parse_input_size
from fcn_deploy.errors import ShapeError
from fcn_deploy.vocabulary import INPUT, LABELS
from tests.support.fake_runners import FakeRunner


def test_a_factor_and_a_size_are_read():
    assert parse_input_size("0.5").of((360, 481)) == (180, 240)
    assert parse_input_size(" 1 ").of((33, 57)) == (33, 57)
    assert parse_input_size("270x360").of((33, 57)) == (270, 360)
    assert [parse_input_size(text).name for text in ("1", "1.0", "0.50", "270x360")] == ["", "", "0.5", "270x360"]


def test_sides_are_multiples_of_the_divisor_and_never_nothing():
    assert parse_input_size("0.5", 32).of((360, 480)) == (192, 256)
    assert parse_input_size("0.01").of((20, 300)) == (1, 3)


@pytest.mark.parametrize("text", ["0", "-1", "half", "4.5", "0x4", "1e-3", "nan", ""])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ShapeError, match="is not"):
        parse_input_size(text)


def test_labels_come_back_at_the_size_of_the_image():
    inner = FakeRunner()
    image = np.zeros((2, 30, 41, 3), np.uint8)
    image[:, :, 20:] = 3
    labels = ResizedRunner(inner, InputSize(0.5)).infer({INPUT: image})[LABELS]
    assert inner.shapes == [(2, 15, 20, 3)]
    assert labels.shape == (2, 30, 41)
    assert (labels[:, :, :18] == 0).all()
    assert (labels[:, :, 24:] == 3).all()


def test_the_runner_behind_it_is_closed_with_it():
    log: list[str] = []
    with ResizedRunner(FakeRunner(log=log), InputSize(0.5)):
        pass
    assert log == ["fake closed"]
