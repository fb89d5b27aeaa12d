"""Resizing agrees with Pillow, and the other steps do what they say."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.diagnosis.slips.geometry import half_pixel, letterboxed, nearest, resized, shifted

IMAGE = np.random.default_rng(1).integers(0, 256, (12, 20, 3)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(6, 10), (24, 40), (7, 33)])
def test_nearest_is_pillows(shape: tuple[int, int]):
    expected = np.array(Image.fromarray(IMAGE).resize(shape[::-1], Image.Resampling.NEAREST))
    np.testing.assert_array_equal(nearest(IMAGE, shape), expected)


def test_bilinear_is_pillows_where_it_enlarges():
    expected = np.array(Image.fromarray(IMAGE).resize((40, 24), Image.Resampling.BILINEAR))
    found = resized((24, 40), "bilinear")(IMAGE)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_letterbox_and_shifts():
    boxed = letterboxed(None, 114)(IMAGE)
    np.testing.assert_array_equal(boxed[4:16], IMAGE)
    assert (boxed[:4] == 114).all()
    np.testing.assert_array_equal(letterboxed(None, 0, centred=False)(IMAGE)[:12], IMAGE)
    np.testing.assert_array_equal(shifted(IMAGE, 2, -3)[2:, :-3], IMAGE[:-2, 3:])
    assert (half_pixel(np.full((4, 4, 3), 9, np.uint8), 1) == 9).all()
