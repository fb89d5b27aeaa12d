"""How far one tensor is from another."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fcn_deploy.diagnosis.tensor_error import TensorError

GENERATOR = np.random.default_rng(0)


def test_a_tally_is_the_same_image_by_image_and_at_once():
    x, y = GENERATOR.normal(size=(2, 5, 7)).astype(np.float32), GENERATOR.normal(size=(2, 5, 7)).astype(np.float32)
    one, whole = TensorError(), TensorError()
    whole.add(x, y)
    for a, b in zip(x, y, strict=True):
        one.add(a, b)
    expected = np.sqrt(np.square(y - x).mean() / np.square(x).mean())
    assert one.relative == pytest.approx(whole.relative, rel=1e-12)
    assert whole.relative == pytest.approx(expected, rel=1e-5)  # float32 against float64 sums
    assert (whole.low, whole.high) == (x.min(), x.max())


def test_a_tally_knows_a_multiple_other_shapes_labels_and_overflow():
    x = np.float32([1, -2, 3])
    error = TensorError()
    error.add(x, 4 * x)
    assert (error.relative, error.factor, error.residual) == (3, 4, pytest.approx(0, abs=1e-7))
    for other, found in (
        (x[:2], math.inf),
        (np.float16([1, -2, np.inf]), math.inf),
        (np.float32([1, -2, np.nan]), math.inf),
    ):
        error = TensorError()
        error.add(x, other)
        assert error.relative == found
    labels = TensorError()
    labels.add(np.uint8([[1, 2], [3, 4]]), np.uint8([[1, 2], [3, 0]]))
    assert labels.relative == 0.25
