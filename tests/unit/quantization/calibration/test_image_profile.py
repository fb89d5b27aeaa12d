"""What an image looks like and shows, in a few numbers."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.quantization.calibration.image_profile import ProfileCollector, appearance_of


def test_the_looks_of_a_picture():
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, 1::2] = (200, 200, 100)
    brightness, balance, contrast, detail = appearance_of(image)
    grey = 0.299 * 200 + 0.587 * 200 + 0.114 * 100
    assert (brightness, balance) == (pytest.approx(grey / 2), 50)
    assert (contrast, detail) == (pytest.approx(grey / 2), pytest.approx(2 * grey))


def test_labels_are_counted_and_those_that_are_no_class_are_left_out():
    found = ProfileCollector(3)
    for labels in (np.array([[0, 2, 2]], np.uint8), np.array([[-1, 1, 7]])):
        found.add_image(np.zeros((1, 3, 3), np.uint8))
        found.add_labels(labels)
    profile = found.result()
    assert profile.pixels.tolist() == [[1, 0, 2], [0, 1, 0]]
    assert (profile.images, profile.sizes.tolist()) == (2, [[1, 3], [1, 3]])


def test_the_labels_of_logits_are_their_arg_max():
    found = ProfileCollector(2, "logits")
    found.add_image(np.zeros((1, 2, 3), np.uint8))
    found.add_seen({"logits": np.array([[[[1.0, 0]], [[0, 1]]]], np.float32)})
    assert found.result().pixels.tolist() == [[1, 1]]
