"""Digests of images."""

from __future__ import annotations

import numpy as np

from fcn_deploy.data.digests import pixel_digest
from tests.support.small_fcn import images


def _photograph(seed: int) -> np.ndarray:
    return images(1, (1, 10, 14), seed)[0][0]


def test_an_image_of_the_same_bytes_and_another_size_is_another():
    pixels = _photograph(0)
    assert pixel_digest(pixels) != pixel_digest(pixels.reshape(14, 10, 3))
    assert pixel_digest(pixels) == pixel_digest(np.asfortranarray(pixels))
